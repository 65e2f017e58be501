-- Drops copies, or entries of a chunk of the catalogue, and raises the floor: what was read before now is refused, so
-- that it does not come back from the dead, also at a version that was there (interleaving 2a).
-- Unit: one shard.   KEYS: floor, copies… or one chunk   ARGV: for a chunk, post numbers…     Returns: the floor
if #ARGV == 0 then
  redis.call("UNLINK", unpack(KEYS, 2))
else
  redis.call("HDEL", KEYS[2], unpack(ARGV))
end
return redis.call("INCR", KEYS[1])
