-- Renews the lease of one call, if it is ours still. KEYS: meta, leases. ARGV: guild, token, node, ttl.

local guild, token = ARGV[1], tonumber(ARGV[2])
if fences(lease(guild), token) then
  return 0
end
put_lease(guild, token, now + ARGV[4], 'live', ARGV[3])
return 1
