-- A baker says how loaded it is and for how long that holds; who has said nothing for long is forgotten. By Redis' own
-- clock, for those of bakers and planners drift.
-- Unit: the origin.
-- KEYS: reports   ARGV: baker, milliseconds that this holds, milliseconds after which it is forgotten, what is reported
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local reported = redis.call("HGETALL", KEYS[1])
for i = 1, #reported, 2 do
  local ends = tonumber(string.match(reported[i + 1], "^%d+ (%d+)"))
  if ends + tonumber(ARGV[3]) < now then redis.call("HDEL", KEYS[1], reported[i]) end
end
redis.call("HSET", KEYS[1], ARGV[1], string.format("%d %d %s", now, now + tonumber(ARGV[2]), ARGV[4]))
return now
