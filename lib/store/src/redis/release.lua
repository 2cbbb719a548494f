-- Saves a session and gives the shard back. KEYS: meta, leases, sessions. ARGV: shard, token,
-- session (empty: there is none).

local shard, token = ARGV[1], tonumber(ARGV[2])
local old = lease(shard)
if old and old.token > token then
  return 0
end
if fences(old, token) then
  -- Once more: the first answer may have been lost.
  return 1
end
put_lease(shard, token, 0, 'released', old and old.replica or '')
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[3], shard)
else
  redis.call('HSET', KEYS[3], shard, ARGV[3])
end
bump()
return 1
