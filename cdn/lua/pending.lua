-- Returns what waits in one shard of one edge, oldest first, and how far everything older has come.
-- Unit: one shard, one edge.
-- KEYS: count, unsent, newest, claimed, flying   ARGV: how many tags at most
-- Returns: {count, oldest unsent or "", oldest claimed or "", oldest flying or "", how many wait, tag, oldest, newest, …}
local function oldest(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end
local reply = {tonumber(redis.call("GET", KEYS[1]) or 0), oldest(KEYS[2]), oldest(KEYS[4]), oldest(KEYS[5])}
reply[5] = redis.call("ZCARD", KEYS[2])
if ARGV[1] == "0" then return reply end
local waiting = redis.call("ZRANGE", KEYS[2], 0, tonumber(ARGV[1]) - 1, "WITHSCORES")
for i = 1, #waiting, 2 do
  reply[#reply + 1] = waiting[i]
  reply[#reply + 1] = waiting[i + 1]
  reply[#reply + 1] = redis.call("HGET", KEYS[3], waiting[i]) or waiting[i + 1]
end
return reply
