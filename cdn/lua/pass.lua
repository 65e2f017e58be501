-- Registers answers in the ledger and returns what was recorded since a count: the fence, in one step.
-- Registering *every* answer before anyone judges it closes the race with a change: a record that came before
-- this call is in the reply, one that comes after it finds the answer in the ledger.
-- Unit: one shard and all answers of one loop tick.
-- KEYS: count, log, floor, span, living
-- ARGV: since (the caller has all records up to here),
--   JSON: [[milliseconds, [tag, …], …], [user, milliseconds, carried, …]],
--   seconds for which to keep what is recent, 1 where tags need not be told apart there ("*" is any of them)
-- (Milliseconds until the edge must have forgotten it. Carried: "*", or the sources' numbers joined by commas. One
-- argument, because a client packs and Redis parses thousands of them slower than cjson does one.)
-- Returns: {count, floor, tag, its count, tag, its count, …}
-- Error FORGOTTEN: there is no count, or one below what the caller has seen; nothing is registered.
local since, count = tonumber(ARGV[1]), tonumber(redis.call("GET", KEYS[1]))
if not count or since > count then
  return redis.error_reply("FORGOTTEN this shard has no such count: Redis lost its data")
end
local root = string.match(KEYS[4], "^(.*:)ledger:span$")
local time = redis.call("TIME")
local now = tonumber(time[1])
local before = redis.call("GET", KEYS[4]) or "0 "
local window, buckets = string.match(before, "^(%d+) (.*)$")
local here = math.floor(now / 64)
window = tonumber(window)

-- The bucket of a second: of 64 seconds, of twice as many for each doubling of a life beyond half an hour. So a record
-- looks at some 16 buckets for each doubling, however long answers live, and a life is claimed a sixteenth too long at most.
local function bucket_of(second)
  local units, wide = math.floor(second / 64), 1
  while wide * 32 <= units - here do wide = wide * 2 end
  return string.format("%d", math.ceil((units + 1) / wide) * wide - 1)
end
-- Adds a bucket to those that there are, and forgets those whose time is over.
local function list(bucket)
  local kept = {}
  for there in string.gmatch(buckets, "%d+") do
    if tonumber(there) >= here then kept[#kept + 1] = there else redis.call("UNLINK", root .. "ledger:" .. there) end
  end
  kept[#kept + 1] = bucket
  buckets = table.concat(kept, " ")
end

local answers = cjson.decode(ARGV[2])
local groups, users = answers[1], answers[2]
-- Where the clock stepped back, what left before it is in a window to come: that one stays the latest while it is there.
if window <= now / 4 or redis.call("EXISTS", string.format("%srecent:%d", root, window)) == 0 then
  window = math.floor(now / 4)
end
local recent = string.format("%srecent:%d", root, window)
for i = 1, #groups, 2 do
  local bucket, tags = bucket_of(now + math.ceil(groups[i] / 1000)), groups[i + 1]
  for from = 1, #tags, 4000 do
    local to = math.min(from + 3999, #tags)
    redis.call("SADD", root .. "ledger:" .. bucket, unpack(tags, from, to))
    if ARGV[4] ~= "1" then redis.call("SADD", recent, unpack(tags, from, to)) end
  end
  if not string.find(" " .. buckets .. " ", " " .. bucket .. " ", 1, true) then list(bucket) end
end
if #groups > 0 then
  if ARGV[4] == "1" then redis.call("SADD", recent, "*") end
  redis.call("EXPIRE", recent, ARGV[3], "NX")
end
local after = string.format("%d %s", window, buckets)
if after ~= before then redis.call("SET", KEYS[4], after) end

-- What every living answer under a user's path carries: the sources that the old ones and the new one share.
local function shared(some, others)
  local both = {}
  others = "," .. others .. ","
  for source in string.gmatch(some, "%d+") do
    if string.find(others, "," .. source .. ",", 1, true) then both[#both + 1] = source end
  end
  return table.concat(both, ",")
end
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)
for i = 1, #users, 3 do
  local user, ends, carried = users[i], now + math.ceil(users[i + 1] / 1000), users[i + 2]
  local old_ends, old = string.match(redis.call("HGET", KEYS[5], user) or "", "^(%d+) %d+ (.*)$")
  old_ends = tonumber(old_ends)
  if old_ends and old_ends >= now then
    if old_ends > ends then ends = old_ends end
    if carried == "*" then
      carried = old
    elseif old ~= "*" and old ~= carried then
      carried = shared(old, carried)
    end
  end
  redis.call("HSET", KEYS[5], user, string.format("%d %.0f %s", ends, now_ms, carried))
end

local reply = {count, tonumber(redis.call("GET", KEYS[3]) or 0)}
if since == count or since == -1 then return reply end
local records = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. ARGV[1], "+inf", "WITHSCORES")
for i = 1, #records do reply[i + 2] = records[i] end
return reply
