-- Creates a timeline that no rebuild can be installed in, or, with a log number that was taken after that, opens it to
-- rebuilds from then on. So it is never open at a number below that of a drop: one that came before it was there had a
-- lower one, one that found it closed left its own in the place of the mark (drop.lua).
-- Only who is active gets one: a Redis that forgot since it was noted would else keep a timeline that no push reaches.
-- Unit: one user.   KEYS: base, active   ARGV: user, the closed timeline, and to open it the log number
-- Returns: 1 created or opened, 0 it was there, or the user is not active
if #ARGV == 2 then
  if not redis.call("ZSCORE", KEYS[2], ARGV[1]) then return 0 end
  return redis.call("HSETNX", KEYS[1], ARGV[1], ARGV[2])
end
local there = redis.call("HGET", KEYS[1], ARGV[1]) or ""
local closed = string.match(ARGV[2], "^D%d+ ")
if string.sub(there, 1, #closed) ~= closed then return 0 end
local number = math.max(tonumber(ARGV[3]), tonumber(string.sub(there, #closed + 1, -2)))
redis.call("HSET", KEYS[1], ARGV[1], string.format("D%.0f inf\n", number))
return 1
