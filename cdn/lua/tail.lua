-- Returns a shard's count and what was recorded since another: the first thing that a bake reads.
-- Unit: one shard.   KEYS: count, log, floor   ARGV: since     Returns: {count, floor, tag, its count, …}
-- Error FORGOTTEN: there is no count, or one below what the caller has seen.
local since, count = tonumber(ARGV[1]), tonumber(redis.call("GET", KEYS[1]))
if not count or since > count then
  return redis.error_reply("FORGOTTEN this shard has no such count: Redis lost its data")
end
local reply = {count, tonumber(redis.call("GET", KEYS[3]) or 0)}
if since == count or since == -1 then return reply end
local records = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. ARGV[1], "+inf", "WITHSCORES")
for i = 1, #records do reply[i + 2] = records[i] end
return reply
