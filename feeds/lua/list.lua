-- Reads a follower list and who joined since it was built, at one moment: a rebuild forgets those who joined before.
-- Unit: one source.   KEYS: followers, joined     Returns: {list or nothing, users}
return {redis.call("GET", KEYS[1]), redis.call("SMEMBERS", KEYS[2])}
