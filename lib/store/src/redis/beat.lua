-- A heartbeat. KEYS: meta, leases, replicas. ARGV: replica, what it says of itself, ttl; then
-- shard, token and status of each shard that it holds.

local leases = redis.call('HGETALL', KEYS[2])
local place = {}
for i = 1, #leases, 2 do
  place[leases[i]] = i + 1
end
local lost, renewed = {}, {}
for i = 4, #ARGV, 3 do
  local shard, at = ARGV[i], place[ARGV[i]]
  local old = at and lease_of(leases[at])
  if fences(old, tonumber(ARGV[i + 1])) then
    lost[#lost + 1] = shard
  elseif old or not at then
    local text = ARGV[i + 1] .. ' ' .. till .. ' ' .. ARGV[i + 2] .. ' ' .. replica
    renewed[#renewed + 1] = shard
    renewed[#renewed + 1] = text
    if not at then
      at = #leases + 2
      leases[at - 1], place[shard] = shard, at
    end
    leases[at] = text
  end
end
hset(KEYS[2], renewed)

return { now, version, born, plan, lost, leases, alive }
