-- Takes away all that is kept of users who were not active since a moment; at one go, so that nobody who returns at the
-- same time keeps half of it. The copy of their sources goes too, and the floor rises as in floor.lua.
-- Unit: one shard.   KEYS: active, floor   ARGV: milliseconds, then user, bucket, …     Returns: how many were retired
local prefix = string.sub(KEYS[1], 1, 5)
local retired = 0
for i = 2, #ARGV, 2 do
  local user, bucket = ARGV[i], ARGV[i + 1]
  if tonumber(redis.call("ZSCORE", KEYS[1], user) or 0) < tonumber(ARGV[1]) then
    redis.call("ZREM", KEYS[1], user)
    redis.call("HDEL", prefix .. "base:" .. bucket, user)
    redis.call("HDEL", prefix .. "taste:" .. bucket, user)
    redis.call("HDEL", prefix .. "seen", user)
    redis.call("UNLINK", prefix .. "fresh:" .. user, prefix .. "sources:" .. user)
    retired = retired + 1
  end
end
if retired > 0 then redis.call("INCR", KEYS[2]) end
return retired
