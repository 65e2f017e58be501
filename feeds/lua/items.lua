-- Counts the items of a batch, once however often it is said (its sender may die before it notes that the edge took
-- it). The count is never below the least that the system of record knows: Redis may have forgotten, or gone back.
-- Unit: one account and month.   KEYS: items, batch
-- ARGV: first items and taps of the batch; first items, taps and since-milliseconds of the record; now
-- Returns: {first, taps, since} of the month
local function at_least(field, least)
  if tonumber(redis.call("HGET", KEYS[1], field) or 0) < tonumber(least) then
    redis.call("HSET", KEYS[1], field, least)
  end
end
at_least("first", ARGV[3])
at_least("taps", ARGV[4])
if redis.call("SET", KEYS[2], 1, "NX", "EX", 86400) then
  redis.call("HINCRBY", KEYS[1], "first", ARGV[1])
  redis.call("HINCRBY", KEYS[1], "taps", ARGV[2])
end
local since = tonumber(ARGV[5])
redis.call("HSETNX", KEYS[1], "since", since > 0 and since or ARGV[6])
redis.call("EXPIRE", KEYS[1], 5356800)
return redis.call("HMGET", KEYS[1], "first", "taps", "since")
