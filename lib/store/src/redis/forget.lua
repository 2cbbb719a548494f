-- Forgets a set of shards. KEYS: meta, leases, sessions, tails. ARGV: shard count.

for i = 2, #KEYS do
  for _, shard in ipairs(redis.call('HKEYS', KEYS[i])) do
    if string.match(shard, '^%d+/(%d+)$') == ARGV[1] then
      redis.call('HDEL', KEYS[i], shard)
    end
  end
end
return 1
