-- Notes that a part of a change was recorded, under which counts, and whether all parts of its attempt now are.
-- Another attempt (a worker died) may cut the parts elsewhere, so each attempt counts its own.
-- When it is readable is by the clock of Redis: another process will compare it with the horizon.
-- Counts of an older epoch than Redis is in are passed over: what was recorded under them is forgotten, and the relay
-- begins the change anew.
-- Unit: one change.   KEYS: change, waiting, epoch
-- ARGV: attempt, part, number of parts or "", the lowest of its counts or "", its counts as JSON: [[shard, count], …]
-- Returns: 1 readable by this part, else 0
local epoch = tonumber(string.match(redis.call("GET", KEYS[3]) or "", "^%d+"))
if not epoch then return 0 end
if ARGV[4] ~= "" and tonumber(ARGV[4]) < (epoch - 1) * 4294967296 then return 0 end
local attempt = ARGV[1]
redis.call("HSET", KEYS[1], "part:" .. attempt .. ":" .. ARGV[2], ARGV[5])
if ARGV[3] ~= "" then redis.call("HSET", KEYS[1], "parts:" .. attempt, ARGV[3]) end
local parts = tonumber(redis.call("HGET", KEYS[1], "parts:" .. attempt) or -1)
if parts < 0 then return 0 end
for part = 0, parts - 1 do
  if redis.call("HEXISTS", KEYS[1], "part:" .. attempt .. ":" .. part) == 0 then return 0 end
end
local time = redis.call("TIME")
local now = string.format("%.0f", tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call("HSETNX", KEYS[1], "readable", now)
local id = string.sub(KEYS[1], 8)
if redis.call("HEXISTS", KEYS[1], "live") == 0 then redis.call("ZADD", KEYS[2], "NX", now, id) end
return 1
