-- Drops timelines at a log number taken for it: whoever bakes one next rebuilds it, and a rebuild that began before is
-- refused. What was pushed under a higher number stays. One that is being created is not opened by this, but keeps the
-- number (create.lua).
-- Unit: one bucket.   KEYS: base   ARGV: log number, the closed timeline, then users; without any, all of the bucket
-- Returns: how many were dropped
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
local number = tonumber(ARGV[1])
local closed = string.match(ARGV[2], "^D%d+ ")
local users = {unpack(ARGV, 3)}
if #users == 0 then users = redis.call("HKEYS", KEYS[1]) end
local dropped = 0
for _, user in ipairs(users) do
  local there = redis.call("HGET", KEYS[1], user)
  if there and string.sub(there, 1, #closed) == closed then
    redis.call("HSET", KEYS[1], user, closed .. ARGV[1] .. "\n")
  elseif there and tonumber(string.match(there, "^%a(%d+) ")) < number then
    redis.call("HSET", KEYS[1], user, "D" .. ARGV[1] .. " inf\n")
    trim(prefix .. "fresh:" .. user, number)
    dropped = dropped + 1
  end
end
return dropped
