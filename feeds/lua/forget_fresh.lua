-- Takes away what was pushed up to a log number, after bases that have it were written in the same transaction.
-- Unit: some users of one shard.   KEYS: one of their bases   ARGV: log number, users…
-- Returns: how many of them had such posts
local prefix = string.sub(KEYS[1], 1, 5) .. "fresh:"
local names = {}
for i = 2, #ARGV do names[i - 1] = prefix .. ARGV[i] end
if redis.call("EXISTS", unpack(names)) == 0 then return 0 end
local had = 0
for _, name in ipairs(names) do
  if redis.call("ZREMRANGEBYSCORE", name, "-inf", ARGV[1]) > 0 then had = had + 1 end
end
return had
