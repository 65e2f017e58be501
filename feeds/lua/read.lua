-- Reads what a bake of a user's feed or author page begins with, all at one moment.
-- Unit: one shard, the users that bakes of one loop tick ask for.
-- KEYS: generation, then per user: user copy, and for a feed: sources copy, base, fresh, taste
-- ARGV: per user: the user for a feed, "" for an author page
-- Returns: {generation, then per user: user copy, and for a feed: sources copy, timeline, {post, …}, taste}
local reply = {redis.call("GET", KEYS[1]) or "0"}
local at = 2
for i = 1, #ARGV do
  local user = ARGV[i]
  reply[#reply + 1] = redis.call("GET", KEYS[at])
  at = at + 1
  if user ~= "" then
    reply[#reply + 1] = redis.call("GET", KEYS[at])
    reply[#reply + 1] = redis.call("HGET", KEYS[at + 1], user)
    reply[#reply + 1] = redis.call("LRANGE", KEYS[at + 2], 0, -1)
    reply[#reply + 1] = redis.call("HGET", KEYS[at + 3], user)
    at = at + 4
  end
end
return reply
