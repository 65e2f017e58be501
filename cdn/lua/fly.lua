-- An edge accepted a batch: it leaves claimed for flying, under the same oldest count.
-- Unit: one shard, one edge, one batch.   KEYS: claimed, flying   ARGV: batch
local oldest = redis.call("ZSCORE", KEYS[1], ARGV[1])
if oldest then
  redis.call("ZADD", KEYS[2], oldest, ARGV[1])
  redis.call("ZREM", KEYS[1], ARGV[1])
end
return oldest
