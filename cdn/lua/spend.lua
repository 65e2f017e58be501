-- Takes one call out of the call budget of an account, or says how long to wait: one call an interval.
-- Unit: one account.   KEYS: time of the last call   ARGV: interval in milliseconds   Returns: milliseconds to wait
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(redis.call("GET", KEYS[1]) or 0)
local wait = last + tonumber(ARGV[1]) - now
if last > now then wait = 0 end
if wait > 0 then return wait end
redis.call("SET", KEYS[1], now)
return 0
