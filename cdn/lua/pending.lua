-- Returns what waits in one shard of one edge, the urgent and then oldest first, and how far everything older has come.
-- Unit: one shard, one edge.
-- KEYS: count, unsent, newest, urgent, claimed, flying   ARGV: how many tags at most
-- Returns: {count, oldest unsent or "", oldest claimed or "", oldest flying or "", how many wait, now in milliseconds,
--   tag, oldest count, "newest count, its milliseconds, flags", …}
-- Error FORGOTTEN: there is no count.
local function oldest(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end
local now, most, count = redis.call("TIME"), tonumber(ARGV[1]), tonumber(redis.call("GET", KEYS[1]))
if not count then return redis.error_reply("FORGOTTEN this shard has no count: Redis lost its data") end
local reply = {count, oldest(KEYS[2]), oldest(KEYS[5]), oldest(KEYS[6])}
reply[5] = redis.call("ZCARD", KEYS[2])
reply[6] = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local given = {}
local function give(tag, count)
  if given[tag] or not count or (#reply - 6) / 3 >= most then return end
  given[tag] = true
  reply[#reply + 1] = tag
  reply[#reply + 1] = count
  reply[#reply + 1] = redis.call("HGET", KEYS[3], tag)
end
if most == 0 then return reply end
if reply[5] > most then  -- else all are given anyway
  for _, tag in ipairs({"g", unpack(redis.call("SRANDMEMBER", KEYS[4], math.min(most, 4000)))}) do
    give(tag, redis.call("ZSCORE", KEYS[2], tag))
  end
end
local waiting = redis.call("ZRANGE", KEYS[2], 0, most - 1, "WITHSCORES")
for i = 1, #waiting, 2 do give(waiting[i], waiting[i + 1]) end
return reply
