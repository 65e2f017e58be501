-- Pushes one post to the active users of a section. Nothing is created for anybody else: whoever becomes active is so
-- before their timeline is, and that is rebuilt from a later log number (interleaving 5b).
-- A push that is late keeps the number of a later one, whose post may not be in a rebuild of its own number.
-- A timeline whose fresh posts are too many is dropped at this log number: the next bake rebuilds it.
-- Unit: one post, one section of one shard, a few hundred users.
-- KEYS: active   ARGV: post number, log number, most fresh posts, users joined by newlines, the closed timeline
-- Returns: how many users were looked at
local call = redis.call
local prefix = string.sub(KEYS[1], 1, 5)
local post, number, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

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
  call("ZREMRANGEBYSCORE", fresh, "-inf", math.max(at, number))
end

local pushed = 0
for user in string.gmatch(ARGV[4], "[^\n]+") do
  local fresh = prefix .. "fresh:" .. user
  call("ZADD", fresh, "GT", ARGV[2], post)
  local count = call("ZCARD", fresh)
  if count == 1 and not call("ZSCORE", KEYS[1], user) then
    call("DEL", fresh)
  elseif count > most then
    overflow(user, fresh)
  end
  pushed = pushed + 1
end
return pushed
