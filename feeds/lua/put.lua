-- Writes a copy, unless it is older than what is there or was read before a drop: no copy comes back from the dead
-- (interleaving 2a).
-- A copy is "<state><version>.<generation>.<digest> <JSON>"; states: L live, D deleted, F floor (dropped; only the
-- version counts). A writer says what it saw before it read the truth: the header, and the generation.
-- Unit: one copy.   KEYS: copy, generation
-- ARGV: version, generation seen, header seen, state, digest, JSON     Returns: 1 written, 0 refused
local generation = tonumber(redis.call("GET", KEYS[2]) or 0)
if tonumber(ARGV[2]) < generation then return 0 end
local version = tonumber(ARGV[1])
local header = string.match(redis.call("GETRANGE", KEYS[1], 0, 95), "^%S+") or ""
if header ~= "" then
  local state, there, made = string.match(header, "^(%a)(%d+)%.(%d+)%.")
  there, made = tonumber(there), tonumber(made)
  if there > version then return 0 end
  if there == version and made == generation and (state ~= "F" or header ~= ARGV[3]) then return 0 end
end
redis.call("SET", KEYS[1], ARGV[4] .. ARGV[1] .. "." .. generation .. "." .. ARGV[5] .. " " .. ARGV[6])
return 1
