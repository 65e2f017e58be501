-- Notes that a change is sent, and live, and that it waits no longer; not where the relay has taken it again since, for
-- Redis forgot after it was seen waiting: then it has begun anew, and whoever noted it live would leave it so for ever.
-- Unit: one change.   KEYS: change, waiting
-- ARGV: epoch under which it was seen waiting, or "" for any, milliseconds, how many seconds its times are kept, change
-- Returns: 1 noted, 0 it waits on
if ARGV[1] ~= "" and (redis.call("HGET", KEYS[1], "epoch") or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call("HSETNX", KEYS[1], "sent", ARGV[2])
redis.call("HSETNX", KEYS[1], "live", ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[3])
redis.call("ZREM", KEYS[2], ARGV[4])
return 1
