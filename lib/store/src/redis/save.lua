-- Saves sessions. KEYS: meta, leases, sessions. ARGV: shard, token and session of each (empty: it
-- is gone). One lease that cannot be read does not keep the others from being saved.

local refused, unreadable = {}, nil
for i = 1, #ARGV, 3 do
  local shard, session = ARGV[i], ARGV[i + 2]
  local text = redis.call('HGET', KEYS[2], shard)
  local old = text and lease_of(text)
  if text and not old then
    unreadable = shard
  elseif fences(old, tonumber(ARGV[i + 1])) then
    refused[#refused + 1] = shard
  elseif session == '' then
    redis.call('HDEL', KEYS[3], shard)
  else
    redis.call('HSET', KEYS[3], shard, session)
  end
end
if unreadable then
  corrupt(KEYS[2], unreadable, NO_LEASE)
end
return refused
