-- Registers answers in the ledger and returns what was recorded since a count: the fence, in one step.
-- Registering *every* answer before anyone judges it closes the race with a change: a record that came before
-- this call is in the reply, one that comes after it finds the answer in the ledger.
-- Unit: one shard and all answers of one loop tick.
-- KEYS: count, log, floor, span
-- ARGV: since (the caller has all records up to here), JSON: [[horizon in milliseconds, [tag, …]], …]
-- (One argument, because a client packs and Redis parses thousands of them slower than cjson does one.)
-- Returns: {count, floor, tag, its count, tag, its count, …}
local TRANSIT = 10  -- seconds an answer may take to the edge, which counts its life from when it arrives
local prefix = string.match(KEYS[4], "^(.*:)span$")
local time = redis.call("TIME")
local now = tonumber(time[1])
local before = redis.call("GET", KEYS[4]) or ""
local first, last = string.match(before, "(%d+) (%d+)")
local here = math.floor(now / 64)
first, last = tonumber(first) or here, tonumber(last) or here
for over = first, math.min(here - 1, last) do redis.call("UNLINK", prefix .. over) end
first, last = math.max(first, here), math.max(last, here)
for _, group in ipairs(cjson.decode(ARGV[2])) do
  local bucket, tags = math.floor((now + math.ceil(group[1] / 1000) + TRANSIT) / 64), group[2]
  for from = 1, #tags, 4000 do
    redis.call("SADD", prefix .. bucket, unpack(tags, from, math.min(from + 3999, #tags)))
  end
  if bucket > last then last = bucket end
end
local after = first .. " " .. last
if after ~= before then redis.call("SET", KEYS[4], after) end
local since, count = tonumber(ARGV[1]), tonumber(redis.call("GET", KEYS[1]) or 0)
if since > count then  -- Redis forgot records: what was noted up to now cannot be checked, by any process
  count = since + 1
  redis.call("MSET", KEYS[1], count, KEYS[3], count)
end
local reply = {count, tonumber(redis.call("GET", KEYS[3]) or 0)}
if since == count or since == -1 then return reply end
local records = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. since, "+inf", "WITHSCORES")
for i = 1, #records do reply[i + 2] = records[i] end
return reply
