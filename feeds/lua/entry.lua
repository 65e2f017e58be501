-- Writes entries of the catalogue: the newest generation wins, then the newest version of the post; refuses what was
-- read before a drop, as put.lua does (interleaving 2a).
-- An entry begins with a byte, version and generation (feeds/packing.py).
-- Unit: one chunk.   KEYS: chunk, generation, floor
-- ARGV: generation and floor as seen before the truth was read, then post number, entry, …
-- Returns: how many were written, -1 where they were read before a drop and have to be read again
local generation = tonumber(redis.call("GET", KEYS[2]) or 0)
if tonumber(ARGV[1]) < generation or ARGV[2] ~= (redis.call("GET", KEYS[3]) or "0") then return -1 end
local written = 0
for i = 3, #ARGV, 2 do
  local there = redis.call("HGET", KEYS[1], ARGV[i])
  local _, version, made = struct.unpack("<BI4I4", ARGV[i + 1])
  local kept, before = 0, -1
  if there then _, kept, before = struct.unpack("<BI4I4", there) end
  if made > before or (made == before and version > kept) then
    redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
return written
