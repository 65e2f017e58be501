-- Returns a shard's count and what was recorded since another: the first thing that a bake reads.
-- Unit: one shard.   KEYS: count, log, floor   ARGV: since     Returns: {count, floor, tag, its count, …}
local since, count = tonumber(ARGV[1]), tonumber(redis.call("GET", KEYS[1]) or 0)
if since > count then  -- Redis forgot records: what was noted up to now cannot be checked, by any process
  count = since + 1
  redis.call("MSET", KEYS[1], count, KEYS[3], count)
end
local reply = {count, tonumber(redis.call("GET", KEYS[3]) or 0)}
if since == count or since == -1 then return reply end
local records = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. since, "+inf", "WITHSCORES")
for i = 1, #records do reply[i + 2] = records[i] end
return reply
