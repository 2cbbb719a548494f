-- A heartbeat. KEYS: meta, leases, replicas. ARGV: replica, what it says of itself, ttl; then
-- shard, token and status of each shard that it holds.

local replica, said, till = ARGV[1], ARGV[2], whole(now + ARGV[3])

local known = redis.call('HGETALL', KEYS[3])
local alive, gone = { replica, till .. ' ' .. said }, {}
local news = true
for i = 1, #known, 2 do
  local ends, says = string.match(known[i + 1], '^(%d+) (.*)$')
  if ends and tonumber(ends) <= now then
    gone[#gone + 1] = known[i]
  elseif known[i] == replica then
    news = says ~= said
  else
    alive[#alive + 1] = known[i]
    alive[#alive + 1] = known[i + 1]
  end
end
for _, id in ipairs(gone) do
  redis.call('HDEL', KEYS[3], id)
end
redis.call('HSET', KEYS[3], replica, alive[2])
if news or #gone > 0 then
  bump()
end

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
