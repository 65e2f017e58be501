-- Notes that a user is active now, or was in the past. Whoever is noted here is not retired any more, so what is there now
-- stays. An activity before the one that is known changes nothing, so the same log may be read twice.
-- Unit: one user.   KEYS: active, base   ARGV: user, milliseconds (none: now)
-- Returns: {milliseconds of the activity before or 0, 1 where the user has a timeline}
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call("ZSCORE", KEYS[1], ARGV[1])
redis.call("ZADD", KEYS[1], "GT", math.min(tonumber(ARGV[2] or now), now), ARGV[1])
return {math.floor(tonumber(before or 0)), redis.call("HEXISTS", KEYS[2], ARGV[1])}
