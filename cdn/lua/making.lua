-- Begins to make an epoch, or joins whoever has begun: all who notice the same loss make one number under one token. A
-- token of another run or replication is from before a loss of its own.
-- Unit: the epoch.   KEYS: making   ARGV: run and replication, random digits     Returns: the token
local there = redis.call("GET", KEYS[1]) or ""
if string.sub(there, 1, #ARGV[1] + 1) == ARGV[1] .. " " then return there end
redis.call("SET", KEYS[1], ARGV[1] .. " " .. ARGV[2])
return ARGV[1] .. " " .. ARGV[2]
