-- Leaves the end of a shard's stream. KEYS: meta, leases, tails. ARGV: shard, token, tail, ttl.

if fences(lease(ARGV[1]), tonumber(ARGV[2])) then
  return 0
end
redis.call('HSET', KEYS[3], ARGV[1], whole(now + ARGV[4]) .. ' ' .. ARGV[3])
redis.call('PEXPIRE', KEYS[3], whole(math.max(redis.call('PTTL', KEYS[3]), tonumber(ARGV[4]), 1)))
return 1
