-- Records tags under the next count, asks the ledger which of them an edge may hold, and puts those in the
-- pending set: one step, so that the ledger is read only after the record (interleaving 1b) and nothing is lost
-- between record and pending. What is taken from the ledger now counts as dropped: a later answer registers anew.
-- Unit: one shard and all changes of one read of the stream.
-- KEYS: count, log, floor, span, then per edge: unsent, newest
-- ARGV: longest log, number of guarded tags, guarded tags…, dropped tags… (guarded: fence only; dropped: both)
-- Returns: {count, number of tags made pending}
local prefix = string.match(KEYS[4], "^(.*:)span$")
local count = redis.call("INCR", KEYS[1])
local guards = tonumber(ARGV[2])
for i = 3, #ARGV do redis.call("ZADD", KEYS[2], count, ARGV[i]) end

local over = redis.call("ZCARD", KEYS[2]) - tonumber(ARGV[1])
if over > 0 then
  local edge = redis.call("ZRANGE", KEYS[2], over - 1, over - 1, "WITHSCORES")
  redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", edge[2])
  redis.call("SET", KEYS[3], edge[2])
end

local first, last = string.match(redis.call("GET", KEYS[4]) or "", "(%d+) (%d+)")
first, last = tonumber(first), tonumber(last)
local here = math.floor(tonumber(redis.call("TIME")[1]) / 64)
local buckets = {}
for bucket = math.max(first or here, here), last or 0 do
  if redis.call("EXISTS", prefix .. bucket) == 1 then buckets[#buckets + 1] = prefix .. bucket end
end
local function take(tag)
  local alive = 0
  for _, bucket in ipairs(buckets) do alive = alive + redis.call("SREM", bucket, tag) end
  if alive > 0 and (tag == "g" or string.sub(tag, 1, 2) == "s-") then
    for _, bucket in ipairs(buckets) do redis.call("UNLINK", bucket) end
    buckets = {}
  end
  return alive
end

local made = 0
for i = 3 + guards, #ARGV do
  local tag, alive = ARGV[i], take(ARGV[i])
  if alive > 0 then made = made + 1 end
  for k = 5, #KEYS, 2 do
    if alive > 0 then
      redis.call("ZADD", KEYS[k], "NX", count, tag)
      redis.call("HSET", KEYS[k + 1], tag, count)
    end
  end
end
return {count, made}
