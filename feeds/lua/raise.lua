-- Raises a number, never lowers it: two who raise it may come in any order.
-- Unit: one key.   KEYS: number   ARGV: at least this     Returns: 1 raised, 0 it was as high
if tonumber(redis.call("GET", KEYS[1]) or 0) >= tonumber(ARGV[1]) then return 0 end
redis.call("SET", KEYS[1], ARGV[1])
return 1
