-- Saves a session and gives the shard back. KEYS: meta, leases, sessions. ARGV: shard, token,
-- session, the same for when the next set of shards takes over (empty: there is none).

local shard, token = ARGV[1], tonumber(ARGV[2])
local old = lease(shard)
if old and old.token > token then
  return 0
end
if fences(old, token) then
  -- Once more: the first answer may have been lost.
  return 1
end
local session = ARGV[3]
if ARGV[4] ~= '' and plan and string.find(plan, '"phase":"switching"', 1, true) then
  session = ARGV[4]
end
put_lease(shard, token, 0, 'released', old and old.replica or '')
if session == '' then
  redis.call('HDEL', KEYS[3], shard)
else
  redis.call('HSET', KEYS[3], shard, session)
end
bump()
return 1
