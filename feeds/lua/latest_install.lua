-- Merges a rebuild into a source's newest posts and sets the mark, unless they were dropped or begun again meanwhile.
-- A post stands at the latest time that it had: where it moved back it is still proposed, and its place is looked up.
-- Unit: one source.   KEYS: latest, build   ARGV: token, mark or "-inf", cap, seconds to live, then time, post number, …
-- Returns: 1 installed, 0 refused
if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end
redis.call("DEL", KEYS[2])
if redis.call("ZSCORE", KEYS[1], "!") ~= "inf" then return 0 end
redis.call("EXPIRE", KEYS[1], ARGV[4])
for i = 5, #ARGV, 2 do redis.call("ZADD", KEYS[1], "GT", ARGV[i], ARGV[i + 1]) end
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", ARGV[2])
redis.call("ZADD", KEYS[1], ARGV[2], "!")
local over = redis.call("ZCARD", KEYS[1]) - 1 - tonumber(ARGV[3])
if over > 0 then
  local lowest = redis.call("ZRANGE", KEYS[1], over, over, "WITHSCORES")[2]
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", lowest)
  redis.call("ZADD", KEYS[1], lowest, "!")
end
return 1
