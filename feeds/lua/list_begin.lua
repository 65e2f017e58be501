-- Begins to build a follower list: from now on it exists, so that whoever joins is kept. Whoever joined before is in
-- the system of record, which is read after this (interleaving 6b). One that is never installed goes away by itself.
-- Unit: one source.   KEYS: followers, joined   ARGV: token     Returns: 1
redis.call("SET", KEYS[1], "B" .. ARGV[1], "EX", 60)
redis.call("UNLINK", KEYS[2])
return 1
