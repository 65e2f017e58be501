-- Takes posts of before a moment out of a chunk of the catalogue, and raises the floor as floor.lua does.
-- An entry is as feeds/packing.py has it: its time after 13 bytes, the number of its tags after 33, then tags and id.
-- Unit: one chunk.   KEYS: chunk, floor   ARGV: milliseconds     Returns: ids of the posts that were taken out
local all = redis.call("HGETALL", KEYS[1])
local ids = {}
for i = 1, #all, 2 do
  local packed = all[i + 1]
  if struct.unpack("<i8", packed, 14) < tonumber(ARGV[1]) then
    redis.call("HDEL", KEYS[1], all[i])
    ids[#ids + 1] = string.sub(packed, 35 + 4 * string.byte(packed, 34))
  end
end
if #ids > 0 then redis.call("INCR", KEYS[2]) end
return ids
