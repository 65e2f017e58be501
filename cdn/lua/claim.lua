-- Moves tags from unsent to a minted batch, but only those into which nothing newer was merged since the planner
-- looked (interleaving 3a); the others stay unsent and go again. Safe to repeat.
-- Unit: one shard, one edge, one batch.
-- KEYS: unsent, newest, urgent, claimed
-- ARGV: batch, or "" where nobody has to be told any more, then tag, its newest as the planner saw it, …
-- Returns: how many were moved
local oldest, moved = nil, 0
for i = 2, #ARGV, 2 do
  if redis.call("HGET", KEYS[2], ARGV[i]) == ARGV[i + 1] then
    local count = redis.call("ZSCORE", KEYS[1], ARGV[i])
    redis.call("ZREM", KEYS[1], ARGV[i])
    redis.call("HDEL", KEYS[2], ARGV[i])
    redis.call("SREM", KEYS[3], ARGV[i])
    if count and (not oldest or tonumber(count) < tonumber(oldest)) then oldest = count end
    moved = moved + 1
  end
end
if oldest and ARGV[1] ~= "" then redis.call("ZADD", KEYS[4], "LT", oldest, ARGV[1]) end
return moved
