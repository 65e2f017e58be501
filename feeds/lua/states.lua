-- Tells of which kind and log number timelines are, without the posts that make them long.
-- Unit: some buckets of one shard.   KEYS: bases
-- Returns: of each bucket: user, kind and number ("R17"), …
local found = {}
for i, base in ipairs(KEYS) do
  local bucket = redis.call("HGETALL", base)
  for j = 2, #bucket, 2 do bucket[j] = string.match(bucket[j], "^%a%d+") end
  found[i] = bucket
end
return found
