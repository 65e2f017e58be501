-- Takes away what was pushed up to a log number, after bases that have it were written in the same transaction.
-- Unit: some users of one shard.   KEYS: one of their bases   ARGV: log number, users…
-- Returns: how many of them had such posts
local call = redis.call
-- Takes away what was pushed up to a log number; each of it is number times 2^32 and the post's number.
local function trim(fresh, number)
  local all, kept = call("LRANGE", fresh, 0, -1), {}
  for _, one in ipairs(all) do
    if math.floor(tonumber(one) / 4294967296) > number then kept[#kept + 1] = one end
  end
  if #kept < #all then call("DEL", fresh) end
  if #kept < #all and #kept > 0 then call("RPUSH", fresh, unpack(kept)) end
  return #all - #kept
end

local prefix = string.sub(KEYS[1], 1, 5) .. "fresh:"
local names = {}
for i = 2, #ARGV do names[i - 1] = prefix .. ARGV[i] end
if redis.call("EXISTS", unpack(names)) == 0 then return 0 end
local had = 0
for _, name in ipairs(names) do
  if trim(name, tonumber(ARGV[1])) > 0 then had = had + 1 end
end
return had
