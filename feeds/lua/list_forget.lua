-- Forgets a follower list that is small, so that the next publish builds it without those who left.
-- Unit: one source.   KEYS: followers, joined   ARGV: bytes up to which a list is small     Returns: keys removed
if redis.call("STRLEN", KEYS[1]) > tonumber(ARGV[1]) then return 0 end
return redis.call("UNLINK", KEYS[1], KEYS[2])
