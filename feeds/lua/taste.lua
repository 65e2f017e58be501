-- Writes a user's taste, and takes away the first pages that it counts, unless somebody else has done so since they
-- were read: no page is counted twice.
-- Unit: one user.   KEYS: taste, seen
-- ARGV: user, taste and pages as they were read ("" for none), the new taste; pages "-" leaves the pages alone
-- Returns: 1 written, 0 refused
if (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then return 0 end
if ARGV[3] ~= "-" then
  if (redis.call("HGET", KEYS[2], ARGV[1]) or "") ~= ARGV[3] then return 0 end
  redis.call("HDEL", KEYS[2], ARGV[1])
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[4])
return 1
