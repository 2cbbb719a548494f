-- Takes a shard that nobody holds. KEYS: meta, leases, sessions. ARGV: shard, replica, ttl.

local old = lease(ARGV[1])
local token = now
if old then
  if old.status ~= 'released' and old.till > now and old.replica ~= ARGV[2] then
    return { 0, 0, old.replica }
  end
  token = math.max(token, old.token + 1)
end
put_lease(ARGV[1], token, now + ARGV[3], 'connecting', ARGV[2])
return { 1, token, redis.call('HGET', KEYS[3], ARGV[1]) }
