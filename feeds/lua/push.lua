-- Writes one post into, or takes it out of, the timelines of one shard that exist. Never creates one. Newest version
-- of the post wins, whoever comes last (interleaving 6d): what was written is kept by days, so that it can be forgotten.
-- A timeline is complete above its mark, the score of "!". One that is being rebuilt (mark +inf) would get a post that
-- is taken out now back from the rebuild, which may have read it before: it is dropped, and the rebuild with it.
-- Unit: one post, one shard, a chunk of users.
-- KEYS: applied, timelines…
-- ARGV: post, version, "post author", score or "" to take it out, cap     Returns: 1 written, 0 refused
local version = tonumber(ARGV[2])
local today = math.floor(tonumber(redis.call("TIME")[1]) / 86400)
for day = today - 1, today do
  if tonumber(redis.call("HGET", KEYS[1] .. ":" .. day, ARGV[1]) or 0) > version then return 0 end
end
redis.call("HSET", KEYS[1] .. ":" .. today, ARGV[1], version)
redis.call("EXPIRE", KEYS[1] .. ":" .. today, 172800)
local member, score, cap = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
for i = 2, #KEYS do
  local key = KEYS[i]
  local mark = redis.call("ZSCORE", key, "!")
  if mark == "inf" then
    if score then redis.call("ZADD", key, score, member) else redis.call("DEL", key) end
  elseif mark and score and score > tonumber(mark) then
    redis.call("ZADD", key, score, member)
    if redis.call("ZCARD", key) > cap + 1 then
      local lowest = redis.call("ZRANGE", key, 1, 1, "WITHSCORES")[2]
      redis.call("ZREMRANGEBYSCORE", key, "-inf", lowest)
      redis.call("ZADD", key, lowest, "!")
    end
  elseif mark then
    redis.call("ZREM", key, member)
  end
end
return 1
