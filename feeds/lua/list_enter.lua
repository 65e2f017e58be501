-- Notes in the follower lists that exist that a user joined. Small lists are looked through, so that nobody is noted who
-- is in them; a large one would keep Redis too long.
-- Unit: some sources of one shard, one user.
-- KEYS: per source: followers, joined   ARGV: user, bytes up to which a list is small
-- Returns: in how many lists the user is noted; not in those that have them, or that are not there
local noted = 0
for i = 1, #KEYS, 2 do
  local size = redis.call("STRLEN", KEYS[i])
  local small = size > 0 and size <= tonumber(ARGV[2])
  local there = small and string.find(redis.call("GET", KEYS[i]), "\n" .. ARGV[1] .. "\n", 1, true)
  if size > 0 and not there then
    redis.call("SADD", KEYS[i + 1], ARGV[1])
    redis.call("EXPIRE", KEYS[i + 1], redis.call("TTL", KEYS[i]) + 60)
    noted = noted + 1
  end
end
return noted
