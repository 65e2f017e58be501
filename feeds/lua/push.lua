-- Writes one post into, or takes it out of, the timelines of one shard that exist. Never creates one. Newest version
-- of the post wins, whoever comes last (interleaving 6d). A timeline is complete above its mark, the score of "!".
-- Unit: one post, one shard, a chunk of users.
-- KEYS: applied today, applied yesterday, timelines…
-- ARGV: post, version, "post author", score or "" to take it out, cap     Returns: 1 written, 0 refused
local version = tonumber(ARGV[2])
for i = 1, 2 do
  if tonumber(redis.call("HGET", KEYS[i], ARGV[1]) or 0) > version then return 0 end
end
redis.call("HSET", KEYS[1], ARGV[1], version)
local member, score, cap = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
for i = 3, #KEYS do
  local key = KEYS[i]
  local mark = redis.call("ZSCORE", key, "!")
  if mark then
    if not score or (mark ~= "inf" and score <= tonumber(mark)) then
      redis.call("ZREM", key, member)
    else
      redis.call("ZADD", key, score, member)
      if mark ~= "inf" and redis.call("ZCARD", key) > cap + 1 then
        local lowest = redis.call("ZRANGE", key, 1, 1, "WITHSCORES")[2]
        redis.call("ZREMRANGEBYSCORE", key, "-inf", lowest)
        redis.call("ZADD", key, lowest, "!")
      end
    end
  end
end
return 1
