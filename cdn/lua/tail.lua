-- Returns a shard's count and what was recorded since another: the first thing that a bake reads.
-- Unit: one shard.   KEYS: count, log, floor   ARGV: since     Returns: {count, floor, tag, its count, …}
local count = tonumber(redis.call("GET", KEYS[1]) or 0)
local reply = {count, tonumber(redis.call("GET", KEYS[3]) or 0)}
if tonumber(ARGV[1]) == count or ARGV[1] == "-1" then return reply end
local records = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. ARGV[1], "+inf", "WITHSCORES")
for i = 1, #records do reply[i + 2] = records[i] end
return reply
