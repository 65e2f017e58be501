-- Says that an epoch stands, the last step of making it; whoever is late with an older number changes nothing.
-- Unit: the epoch.   KEYS: epoch, making   ARGV: number, run and replication, token     Returns: 1 said, 0 too late
local there = redis.call("GET", KEYS[1]) or "0 "
if tonumber(string.match(there, "^%d+")) > tonumber(ARGV[1]) then return 0 end
redis.call("SET", KEYS[1], ARGV[1] .. " " .. ARGV[2])
if redis.call("GET", KEYS[2]) == ARGV[3] then redis.call("DEL", KEYS[2]) end
return 1
