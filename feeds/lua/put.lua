-- Writes a copy, unless it is older than what is there or was read before a drop: no copy comes back from the dead
-- (interleaving 2a). A copy is "<state><version>.<generation>.<digest> <body>".
-- Unit: one copy.   KEYS: copy, generation, floor
-- ARGV: version, generation and floor as seen before the truth was read, state, digest, body
-- Returns: 1 written, 0 there is one as new, -1 it was read before a drop and has to be read again
local generation = tonumber(redis.call("GET", KEYS[2]) or 0)
if tonumber(ARGV[2]) < generation or ARGV[3] ~= (redis.call("GET", KEYS[3]) or "0") then return -1 end
local there, made = string.match(redis.call("GETRANGE", KEYS[1], 0, 63), "^%a(%d+)%.(%d+)%.")
if there then
  there, made = tonumber(there), tonumber(made)
  if there > tonumber(ARGV[1]) or (there == tonumber(ARGV[1]) and made == generation) then return 0 end
end
redis.call("SET", KEYS[1], ARGV[4] .. ARGV[1] .. "." .. generation .. "." .. ARGV[5] .. " " .. ARGV[6])
return 1
