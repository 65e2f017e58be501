-- Registers answers in the ledger and returns what was recorded since a count: the fence, in one step.
-- Registering *every* answer before anyone judges it closes the race with a change: a record that came before
-- this call is in the reply, one that comes after it finds the answer in the ledger.
-- Unit: one shard and all answers of one loop tick.
-- KEYS: count, log, floor, span
-- ARGV: since (the caller has all records up to here), then per horizon: milliseconds, number of tags, tags…
-- Returns: {count, floor, tag, its count, tag, its count, …}
local prefix = string.match(KEYS[4], "^(.*:)span$")
local time = redis.call("TIME")
local now = tonumber(time[1])
local first, last = string.match(redis.call("GET", KEYS[4]) or "", "(%d+) (%d+)")
local here = math.floor(now / 64)
first, last = tonumber(first) or here, tonumber(last) or here
local at, before = 2, first .. " " .. last
while ARGV[at] do
  local horizon, n = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local bucket = math.floor((now + math.ceil(horizon / 1000) + 1) / 64)
  local stop = at + 1 + n
  for from = at + 2, stop, 4000 do
    redis.call("SADD", prefix .. bucket, unpack(ARGV, from, math.min(from + 3999, stop)))
  end
  if bucket > last then last = bucket end
  at = stop + 1
end
while first < here do
  redis.call("UNLINK", prefix .. first)
  first = first + 1
end
if last < here then last = here end
local after = first .. " " .. last
if after ~= before then redis.call("SET", KEYS[4], after) end
local count = tonumber(redis.call("GET", KEYS[1]) or 0)
local floor = tonumber(redis.call("GET", KEYS[3]) or 0)
local since = tonumber(ARGV[1])
if since == count then return {count, floor} end
local reply = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. since, "+inf", "WITHSCORES")
table.insert(reply, 1, floor)
table.insert(reply, 1, count)
return reply
