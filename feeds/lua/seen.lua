-- Notes which posts first pages showed since the last recalculation: the latest 64 of each user, which takes them.
-- Unit: one shard.   KEYS: seen   ARGV: per user: the user, post numbers (4 bytes each)
for i = 1, #ARGV, 2 do
  local there = redis.call("HGET", KEYS[1], ARGV[i]) or ""
  local shown = ARGV[i + 1]
  if string.sub(there, 1, #shown) ~= shown then
    redis.call("HSET", KEYS[1], ARGV[i], string.sub(shown .. there, 1, 256))
  end
end
return 1
