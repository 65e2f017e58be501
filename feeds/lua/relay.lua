-- Begins the progress of a change, anew where it was relayed before, and numbers it into the stream. Not in another epoch
-- than the relay knew when it took the change: it may have stood still while Redis forgot and another relay told it all
-- again, and what begins under an epoch that is over is never live.
-- Unit: one change.   KEYS: change, waiting, changes, epoch
-- ARGV: epoch, change, milliseconds when it was accepted, kind, body
-- Returns: 1   Error FORGOTTEN: Redis is in another epoch, or in none; nothing is done
if string.match(redis.call("GET", KEYS[4]) or "", "^%d+") ~= ARGV[1] then
  return redis.error_reply("FORGOTTEN Redis is not in epoch " .. ARGV[1] .. ", under which this change was taken")
end
redis.call("ZREM", KEYS[2], ARGV[2])
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "accepted", ARGV[3], "epoch", ARGV[1])
redis.call("XADD", KEYS[3], "*", "id", ARGV[2], "kind", ARGV[4], "body", ARGV[5])
return 1
