-- Installs timelines that were read at a log number, where they are there and not of a newer one: of two the newer
-- snapshot wins. What was pushed up to that number is in them; what was pushed since stays.
-- Unit: one bucket.   KEYS: base   ARGV: log number of the snapshot, then user, timeline, …
-- Returns: how many were installed
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

local prefix = string.sub(KEYS[1], 1, 5)
local snapshot = tonumber(ARGV[1])
local installed = 0
for i = 2, #ARGV, 2 do
  local there = redis.call("HGET", KEYS[1], ARGV[i])
  if there and tonumber(string.match(there, "^%a(%d+) ")) <= snapshot then
    redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1])
    trim(prefix .. "fresh:" .. ARGV[i], snapshot)
    installed = installed + 1
  end
end
return installed
