-- Records tags under the next count, asks the ledger which of them an edge may hold, and puts those in the
-- pending set: one step, so that the ledger is read only after the record (interleaving 1b) and nothing is lost
-- between record and pending. What is taken from the ledger now counts as dropped: a later answer registers anew.
-- Unit: one shard and all changes of one read of the stream.
-- KEYS: count, log, floor, span, living, unsure, then per edge: unsent, newest, urgent
-- ARGV: longest log, transit in milliseconds,
--   JSON: [[guarded tag, …], [flags, [dropped tag, …], …], [[source, …], "user\nuser…", …]]
-- (Guards: fence only; dropped: both. Readers: users whose feeds gained a post by these sources, in the ledger only.)
-- Returns: {count, number of tags made pending}   Error FORGOTTEN: there is no count; nothing is recorded.
local TAP, URGENT, PATIENT, COVERED = 1, 2, 4, 8
local transit, now = tonumber(ARGV[2]), redis.call("TIME")
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
now = tonumber(now[1])
local need = cjson.decode(ARGV[3])
local guards, dropped, readers = need[1], need[2], need[3]
if redis.call("EXISTS", KEYS[1]) == 0 then
  return redis.error_reply("FORGOTTEN this shard has no count: Redis lost its data")
end
local count = string.format("%.0f", redis.call("INCR", KEYS[1]))

-- The log.
local function log(tags)
  for from = 1, #tags, 1000 do
    local words = {}
    for i = from, math.min(from + 999, #tags) do
      words[#words + 1] = count
      words[#words + 1] = tags[i]
    end
    redis.call("ZADD", KEYS[2], unpack(words))
  end
end
log(guards)
for i = 2, #dropped, 2 do log(dropped[i]) end
local over = redis.call("ZCARD", KEYS[2]) - tonumber(ARGV[1])
if over > 0 then
  local edge = redis.call("ZRANGE", KEYS[2], over - 1, over - 1, "WITHSCORES")
  redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", edge[2])
  redis.call("SET", KEYS[3], edge[2])
end

-- The pending set of each edge.
local function has(flags, flag) return math.floor(flags / flag) % 2 == 1 end
local function merged(flags, others)  -- tap and urgent if either is, patient and covered if both are
  local both = 0
  if has(flags, TAP) or has(others, TAP) then both = both + TAP end
  if has(flags, URGENT) or has(others, URGENT) then both = both + URGENT end
  if has(flags, PATIENT) and has(others, PATIENT) then both = both + PATIENT end
  if has(flags, COVERED) and has(others, COVERED) then both = both + COVERED end
  return both
end
local function write(edge, tag, newest, ms, flags)
  redis.call("HSET", KEYS[edge + 1], tag, string.format("%s %.0f %d", newest, ms, flags))
  if has(flags, URGENT) then redis.call("SADD", KEYS[edge + 2], tag) end
end
local function waits(edge, tag)
  local newest, ms, flags = string.match(redis.call("HGET", KEYS[edge + 1], tag) or "", "^(%d+) (%d+) (%d+)$")
  return newest, tonumber(ms), tonumber(flags)
end
local function pend(edge, tag, flags)
  local newest, _, before = waits(edge, tag)
  redis.call("ZADD", KEYS[edge], "NX", count, tag)
  write(edge, tag, count, now_ms, newest and merged(flags, before) or flags)
end
local made, idle = 0, true
for edge = 7, #KEYS, 3 do idle = idle and redis.call("EXISTS", KEYS[edge]) == 0 end
local function pend_everywhere(tag, flags)
  made, idle = made + 1, false
  for edge = 7, #KEYS, 3 do pend(edge, tag, flags) end
end

-- No edge can hold what the ledger does not know, but for what waits to be dropped: a tag's own entry takes on what
-- this record demands, and where an entry that cleared the ledger waits for its turn, what is urgent does not.
local shard_tag = "s-" .. string.match(KEYS[1], "^{(%x+)}")
local function wide_waits(edge)
  local found = false
  for _, tag in ipairs({"g", shard_tag}) do
    local _, _, flags = waits(edge, tag)
    if flags and has(flags, URGENT) then return false end
    found = found or flags ~= nil
  end
  return found
end
local function demand(tag, flags)
  for edge = 7, #KEYS, 3 do
    local newest, ms, before = waits(edge, tag)
    if newest then
      local both = merged(flags, before)
      if both ~= before then write(edge, tag, newest, ms, both) end
    elseif has(flags, URGENT) and wide_waits(edge) then
      pend(edge, tag, flags)
    end
  end
end
-- The ledger.
local root = string.match(KEYS[4], "^(.*:)ledger:span$")
local latest, listed = string.match(redis.call("GET", KEYS[4]) or "0 ", "^(%d+) (.*)$")
local here = math.floor(now / 64)
local buckets, recent, all_recent = {}, {}, false
for bucket in string.gmatch(listed, "%d+") do
  local key = root .. "ledger:" .. bucket
  if tonumber(bucket) >= here and redis.call("EXISTS", key) == 1 then buckets[#buckets + 1] = key end
end
local function look(from, to)
  for window = from, to do
    local key = string.format("%srecent:%d", root, window)
    if redis.call("EXISTS", key) == 1 then recent[#recent + 1] = key end
    all_recent = all_recent or redis.call("SISMEMBER", key, "*") == 1
  end
end
latest = tonumber(latest)
look(math.floor((now_ms - transit) / 4000), math.floor(now / 4))
look(math.max(math.floor(now / 4) + 1, latest - math.ceil(transit / 4000)), latest)  -- the clock stepped back
local function clear()
  for _, bucket in ipairs(buckets) do redis.call("UNLINK", bucket) end
  redis.call("UNLINK", KEYS[5])
  buckets = {}
end
local function take_user(user)
  local ends, registered = string.match(redis.call("HGET", KEYS[5], user) or "", "^(%d+) (%d+) ")
  if not ends then return false end
  redis.call("HDEL", KEYS[5], user)
  return tonumber(ends) >= now, tonumber(registered) + transit >= now_ms
end
local function take(tag)
  local kind = string.sub(tag, 1, 2)
  if kind == "u-" then return take_user(string.sub(tag, 3)) end
  local alive, late = 0, 0
  for _, bucket in ipairs(buckets) do alive = alive + redis.call("SREM", bucket, tag) end
  if alive == 0 then return false end
  for _, window in ipairs(recent) do late = late + redis.call("SISMEMBER", window, tag) end
  if tag == "g" or kind == "s-" then clear() end
  return true, late > 0 or all_recent
end

local unsure = tonumber(redis.call("GET", KEYS[6]) or 0) >= now
local gained = #readers > 0
for i = 1, #dropped, 2 do
  local flags = dropped[i]
  for _, tag in ipairs(dropped[i + 1]) do
    local alive, late = take(tag)
    if alive or unsure then
      pend_everywhere(tag, (late or unsure) and not has(flags, TAP) and flags + TAP or flags)
    elseif not idle then
      demand(tag, flags)
    end
    gained = gained or string.find(tag, "^[at]%-") ~= nil
  end
end
if unsure and gained then  -- readers may have answers that the ledger lacks, and nobody may have named them
  pend_everywhere("o", TAP)
  readers = {}
end

-- A reader whose living answers all carry one of the sources is reached by that source's tag. One who has an answer
-- without is a leftover: their own tag waits, and whatever of theirs lacks a source counts as dropped.
for i = 1, #readers, 2 do
  local sources = readers[i]
  for user in string.gmatch(readers[i + 1], "[^\n]+") do
    local ends, registered, carried = string.match(redis.call("HGET", KEYS[5], user) or "", "^(%d+) (%d+) (.*)$")
    if ends and carried ~= "*" and tonumber(ends) >= now then
      local listed, found = "," .. carried .. ",", false
      for _, source in ipairs(sources) do found = found or string.find(listed, "," .. source .. ",", 1, true) end
      if not found then
        pend_everywhere("u-" .. user, tonumber(registered) + transit >= now_ms and COVERED + TAP or COVERED)
        redis.call("HSET", KEYS[5], user, ends .. " " .. registered .. " *")
      end
    end
  end
end
return {tonumber(count), made}
