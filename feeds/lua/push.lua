-- Pushes one post to the active users of a section. Nothing is created for anybody else: whoever becomes active is so
-- before their timeline is, and that is rebuilt from a later log number (interleaving 5b).
-- A list and not a sorted set: Redis would look through all of that for each push, so a post that is pushed twice is
-- there twice, and read once.
-- A timeline whose fresh posts are too many is dropped at this log number: the next bake rebuilds it.
-- Unit: one post, one section of one shard, a few hundred users.
-- KEYS: active
-- ARGV: log number times 2^32 and post number, log number, most fresh posts, users joined by newlines, closed timeline
-- Returns: how many users were looked at
local call = redis.call
local prefix = string.sub(KEYS[1], 1, 5)
local number, most = tonumber(ARGV[2]), tonumber(ARGV[3])

-- The bucket of a user, as ids.bucket_of has it: bits 6 to 13 of CRC-32.
local function bucket_of(user)
  local crc = -1
  for i = 1, #user do
    crc = bit.bxor(crc, string.byte(user, i))
    for _ = 1, 8 do
      crc = bit.bxor(bit.rshift(crc, 1), bit.band(0xEDB88320, -bit.band(crc, 1)))
    end
  end
  return string.format("%02x", bit.band(bit.rshift(bit.bnot(crc), 6), 255))
end

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

-- The base of a user who has too many fresh posts is dropped, unless it is of a higher number and has them. One that is
-- being created keeps the number instead (create.lua).
local function overflow(user, fresh)
  local base = prefix .. "base:" .. bucket_of(user)
  local there = call("HGET", base, user)
  local at = there and tonumber(string.match(there, "^%a(%d+) ")) or 0
  local closed = string.match(ARGV[5], "^D%d+ ")
  if there and string.sub(there, 1, #closed) == closed then
    call("HSET", base, user, closed .. ARGV[2] .. "\n")
    at = 0
  elseif there and at < number then
    call("HSET", base, user, "D" .. ARGV[2] .. " inf\n")
  end
  trim(fresh, math.max(at, number))
end

local pushed = 0
for user in string.gmatch(ARGV[4], "[^\n]+") do
  local fresh = prefix .. "fresh:" .. user
  local count = call("RPUSH", fresh, ARGV[1])
  if count == 1 and not call("ZSCORE", KEYS[1], user) then
    call("DEL", fresh)
  elseif count > most then
    overflow(user, fresh)
  end
  pushed = pushed + 1
end
return pushed
