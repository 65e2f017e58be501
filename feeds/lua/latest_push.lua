-- Writes a post into its source's newest posts, where these are kept. They are complete above the mark, the score of
-- "!"; where they are full their oldest make room first, and the mark rises. Times only rise, so pushes may come in any
-- order.
-- Unit: one source.   KEYS: latest   ARGV: post number, time, cap     Returns: 1 written, 0 not
local mark = redis.call("ZSCORE", KEYS[1], "!")
local time = tonumber(ARGV[2])
if not mark or (mark ~= "inf" and time <= tonumber(mark)) then return 0 end
local full = redis.call("ZCARD", KEYS[1]) > tonumber(ARGV[3])
if mark ~= "inf" and full and not redis.call("ZSCORE", KEYS[1], ARGV[1]) then
  local lowest = math.min(time, tonumber(redis.call("ZRANGE", KEYS[1], 1, 1, "WITHSCORES")[2]))
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", lowest)
  redis.call("ZADD", KEYS[1], lowest, "!")
  if time == lowest then return 0 end
end
redis.call("ZADD", KEYS[1], "GT", ARGV[2], ARGV[1])
return 1
