-- Takes a step through the living users of a shard and removes those whose answers no edge can hold any more.
-- Unit: one shard.   KEYS: living   ARGV: cursor, how many to look at   Returns: {cursor, how many were removed}
local now = tonumber(redis.call("TIME")[1])
local found = redis.call("HSCAN", KEYS[1], ARGV[1], "COUNT", ARGV[2])
local removed = 0
for i = 1, #found[2], 2 do
  if tonumber(string.match(found[2][i + 1], "^%d+")) < now then
    removed = removed + redis.call("HDEL", KEYS[1], found[2][i])
  end
end
return {found[1], removed}
