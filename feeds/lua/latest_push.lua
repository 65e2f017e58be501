-- Writes a post into its source's newest posts, where these are kept. They are complete above the mark, the score of
-- "!", and over the cap they lose their oldest and the mark rises. Times only rise, so pushes may come in any order.
-- Unit: one source.   KEYS: latest   ARGV: post number, time, cap     Returns: 1 written, 0 not
local mark = redis.call("ZSCORE", KEYS[1], "!")
if not mark or (mark ~= "inf" and tonumber(ARGV[2]) <= tonumber(mark)) then return 0 end
redis.call("ZADD", KEYS[1], "GT", ARGV[2], ARGV[1])
if mark ~= "inf" and redis.call("ZCARD", KEYS[1]) > tonumber(ARGV[3]) + 1 then
  local lowest = redis.call("ZRANGE", KEYS[1], 1, 1, "WITHSCORES")[2]
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", lowest)
  redis.call("ZADD", KEYS[1], lowest, "!")
end
return 1
