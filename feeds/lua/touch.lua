-- Notes that a user is active now. Whoever is noted here is not retired any more, so what is there now stays.
-- Unit: one user.   KEYS: active, base   ARGV: user
-- Returns: {milliseconds of the activity before or 0, 1 where the user has a timeline}
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call("ZSCORE", KEYS[1], ARGV[1])
redis.call("ZADD", KEYS[1], "GT", now, ARGV[1])
return {math.floor(tonumber(before or 0)), redis.call("HEXISTS", KEYS[2], ARGV[1])}
