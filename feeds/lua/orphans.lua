-- Takes away what a hash keeps of users who are not active, some of its fields at a time.
-- Unit: a step through one hash.   KEYS: hash by user, active   ARGV: cursor, about how many fields
-- Returns: {next cursor, of how many}
local step = redis.call("HSCAN", KEYS[1], ARGV[1], "COUNT", ARGV[2])
local removed = 0
for i = 1, #step[2], 2 do
  local user = step[2][i]
  if not redis.call("ZSCORE", KEYS[2], user) then removed = removed + redis.call("HDEL", KEYS[1], user) end
end
return {step[1], removed}
