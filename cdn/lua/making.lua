-- Begins to make an epoch, or joins whoever has begun: all who notice the same loss make one number under one token. A
-- token of another run or replication is from before a loss of its own.
-- Unit: the epoch.   KEYS: making, epoch   ARGV: run and replication, random digits, number of the epoch that was found
-- Returns: the token, or nothing where somebody has made one since
local number = string.match(redis.call("GET", KEYS[2]) or "0", "^%d+")
if tonumber(number) > tonumber(ARGV[3]) then return false end
local there = redis.call("GET", KEYS[1]) or ""
if string.sub(there, 1, #ARGV[1] + 1) == ARGV[1] .. " " then return there end
redis.call("SET", KEYS[1], ARGV[1] .. " " .. ARGV[2])
return ARGV[1] .. " " .. ARGV[2]
