-- Begins a rebuild of a source's newest posts: from now on fan-out writes into them, so that nothing published while
-- the truth is read is missed (interleaving 5a). Nothing is complete yet: the mark is +inf. One that is never installed
-- (its process died) goes away by itself.
-- Unit: one source.   KEYS: latest, build   ARGV: token     Returns: 1 begun, 0 it is there and complete
local mark = redis.call("ZSCORE", KEYS[1], "!")
if mark and mark ~= "inf" then return 0 end
redis.call("ZADD", KEYS[1], "+inf", "!")
redis.call("EXPIRE", KEYS[1], 60)
redis.call("SET", KEYS[2], ARGV[1], "EX", 60)
return 1
