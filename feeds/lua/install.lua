-- Merges a rebuild into its timeline and sets the mark, unless the timeline was dropped or begun again meanwhile.
-- What fan-out wrote since is newer and stays.
-- Unit: one timeline.   KEYS: timeline, build   ARGV: token, mark or "-inf", cap, then score, "post author", …
-- Returns: 1 installed, 0 refused
if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end
redis.call("DEL", KEYS[2])
if redis.call("ZSCORE", KEYS[1], "!") ~= "inf" then return 0 end
redis.call("PERSIST", KEYS[1])
for i = 4, #ARGV, 2 do redis.call("ZADD", KEYS[1], "NX", ARGV[i], ARGV[i + 1]) end
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", ARGV[2])
redis.call("ZADD", KEYS[1], ARGV[2], "!")
local over = redis.call("ZCARD", KEYS[1]) - 1 - tonumber(ARGV[3])
if over > 0 then
  local lowest = redis.call("ZRANGE", KEYS[1], over, over, "WITHSCORES")[2]
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", lowest)
  redis.call("ZADD", KEYS[1], lowest, "!")
end
return 1
