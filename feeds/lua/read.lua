-- Reads what a bake of a user's feed or author page begins with, all at one moment.
-- Unit: one shard, the users that bakes of one loop tick ask for.
-- KEYS: generation, then per user: user copy, follows copy, timeline   ARGV: per user: how many entries
-- Returns: {generation, per user: user copy, follows copy, mark, {entry, score, …}}
local reply = {redis.call("GET", KEYS[1]) or "0"}
for i = 2, #KEYS, 3 do
  reply[#reply + 1] = redis.call("GET", KEYS[i])
  reply[#reply + 1] = redis.call("GET", KEYS[i + 1])
  reply[#reply + 1] = redis.call("ZSCORE", KEYS[i + 2], "!")
  reply[#reply + 1] = redis.call("ZRANGE", KEYS[i + 2], 0, tonumber(ARGV[(i + 1) / 3]) - 1, "REV", "WITHSCORES")
end
return reply
