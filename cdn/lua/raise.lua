-- Raises a shard into a new epoch, once: the fence's count and its floor go to the epoch's first count, so that whatever
-- was noted before is refused. Until the ledger is known to have every answer that may be at an edge, it is unsure;
-- where it is gone, all that the edges hold of the shard waits to be dropped, and dropped once more (flags: TAP, URGENT).
-- Unit: one shard, one epoch.
-- KEYS: count, floor, unsure, then per edge: unsent, newest, urgent
-- ARGV: the epoch's first count, milliseconds to be unsure for, 1 where the ledger is gone
-- Returns: 1 raised, 0 the shard is in this epoch, or a later one
local there = redis.call("GET", KEYS[1])
if there and tonumber(there) >= tonumber(ARGV[1]) then return 0 end
redis.call("MSET", KEYS[1], ARGV[1], KEYS[2], ARGV[1])
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local till = math.ceil((now + tonumber(ARGV[2])) / 1000)
if ARGV[2] ~= "0" and till > tonumber(redis.call("GET", KEYS[3]) or 0) then redis.call("SET", KEYS[3], till) end
if ARGV[3] ~= "1" then return 1 end
for k = 4, #KEYS, 3 do
  redis.call("ZADD", KEYS[k], "NX", ARGV[1], "g")
  redis.call("HSET", KEYS[k + 1], "g", string.format("%s %.0f 3", ARGV[1], now))
  redis.call("SADD", KEYS[k + 2], "g")
end
return 1
