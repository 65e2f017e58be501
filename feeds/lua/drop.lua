-- Drops copies but leaves the floor under their ids: what was read before now is refused, also at this version.
-- Unit: one shard.   KEYS: generation, copies…   ARGV: nonce, version of each copy…
local generation = redis.call("GET", KEYS[1]) or "0"
for i = 2, #KEYS do
  local there = tonumber(string.match(redis.call("GETRANGE", KEYS[i], 0, 31), "^%a(%d+)%.") or 0)
  local version = math.max(there, tonumber(ARGV[i]))
  redis.call("SET", KEYS[i], string.format("F%d.%s.%s ", version, generation, ARGV[1]))
end
return #KEYS - 1
