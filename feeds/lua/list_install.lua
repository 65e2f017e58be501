-- Installs a follower list, unless it was forgotten or begun again meanwhile. Whoever joined since stays joined, for as
-- long as the list lives.
-- Unit: one source.   KEYS: followers, joined   ARGV: token, list, seconds to live     Returns: 1 installed, 0 refused
if redis.call("GET", KEYS[1]) ~= "B" .. ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[2], "EX", ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[3] + 60)
return 1
