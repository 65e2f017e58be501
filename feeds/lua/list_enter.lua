-- Notes in a follower list that exists that a user joined. Small lists are looked through, so that nobody is noted who
-- is in them; a large one would keep Redis too long.
-- Unit: one source, one user.   KEYS: followers, joined   ARGV: user, bytes up to which a list is small
-- Returns: 1 noted, 0 it is in there, or there is no list
local size = redis.call("STRLEN", KEYS[1])
if size == 0 then return 0 end
if size <= tonumber(ARGV[2]) and string.find(redis.call("GET", KEYS[1]), "\n" .. ARGV[1] .. "\n", 1, true) then
  return 0
end
redis.call("SADD", KEYS[2], ARGV[1])
redis.call("EXPIRE", KEYS[2], redis.call("TTL", KEYS[1]) + 60)
return 1
