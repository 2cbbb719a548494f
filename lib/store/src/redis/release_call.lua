-- Gives a call back. KEYS: meta, leases, calls, positions. ARGV: guild, token, what is saved of it (empty: it has ended), how far
-- its track is, and for how long its token is remembered.

local guild, token = ARGV[1], tonumber(ARGV[2])
local old = lease(guild)
if old and old.token > token then
  return 0
end
if fences(old, token) then
  -- Once more: the first answer may have been lost.
  return 1
end
put_lease(guild, token, now + ARGV[5], 'released', old and old.replica or '')
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[3], guild)
  redis.call('HDEL', KEYS[4], guild)
else
  redis.call('HSET', KEYS[3], guild, ARGV[3])
  redis.call('HSET', KEYS[4], guild, ARGV[4])
end
bump()
return 1
