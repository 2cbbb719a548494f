-- A replica goes. KEYS: meta, replicas. ARGV: replica.

if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then
  bump()
end
return 1
