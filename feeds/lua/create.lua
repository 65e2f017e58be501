-- Creates a timeline that no rebuild can be installed in, or, with a log number that was taken after that, opens it to
-- rebuilds from then on. A push that missed the field had a lower number, so a rebuild has its post (interleaving 5b).
-- Unit: one user.   KEYS: base   ARGV: user, the closed timeline, and to open it the dropped one
-- Returns: 1 created or opened, 0 it was there
if #ARGV == 2 then return redis.call("HSETNX", KEYS[1], ARGV[1], ARGV[2]) end
if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
return 1
