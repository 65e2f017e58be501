-- Registers who is baked without being active, for as long as the answer may be somewhere.
-- Unit: all guests.   KEYS: guests   ARGV: milliseconds from now, users…     Returns: how many are new
local time = redis.call("TIME")
local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local new = 0
for i = 2, #ARGV do new = new + redis.call("ZADD", KEYS[1], "GT", till, ARGV[i]) end
return new
