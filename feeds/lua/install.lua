-- Installs timelines that were read at a log number, where they are there and not of a newer one: of two the newer
-- snapshot wins. What was pushed up to that number is in them; what was pushed since stays.
-- Unit: one bucket.   KEYS: base   ARGV: log number of the snapshot, then user, timeline, …
-- Returns: how many were installed
local prefix = string.sub(KEYS[1], 1, 5)
local snapshot = tonumber(ARGV[1])
local installed = 0
for i = 2, #ARGV, 2 do
  local there = redis.call("HGET", KEYS[1], ARGV[i])
  if there and tonumber(string.match(there, "^%a(%d+) ")) <= snapshot then
    redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call("ZREMRANGEBYSCORE", prefix .. "fresh:" .. ARGV[i], "-inf", ARGV[1])
    installed = installed + 1
  end
end
return installed
