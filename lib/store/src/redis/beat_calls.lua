-- A heartbeat of a node with calls. KEYS: meta, leases, nodes, calls, positions. ARGV: node, what it says of itself, ttl; then
-- guild, token and position of each call that it holds.

local leases = redis.call('HGETALL', KEYS[2])
local others = {}
for i = 1, #leases, 2 do
  others[leases[i]] = lease_of(leases[i + 1])
end
local lost, renewed, positions = {}, {}, {}
for i = 4, #ARGV, 3 do
  local guild = ARGV[i]
  if fences(others[guild], tonumber(ARGV[i + 1])) then
    -- As text: a number of Lua's has no room for it.
    lost[#lost + 1] = guild
  else
    renewed[#renewed + 1] = guild
    renewed[#renewed + 1] = ARGV[i + 1] .. ' ' .. till .. ' live ' .. replica
    positions[#positions + 1] = guild
    positions[#positions + 1] = ARGV[i + 2]
    others[guild] = nil
  end
end
local free, ended = {}, {}
for guild, known in pairs(others) do
  if redis.call('HEXISTS', KEYS[4], guild) == 1 then
    if known.status == 'released' or known.till <= now then
      free[#free + 1] = guild
    end
  elseif known.till <= now then
    ended[#ended + 1] = guild
  end
end
for _, guild in ipairs(ended) do
  redis.call('HDEL', KEYS[2], guild)
end
hset(KEYS[2], renewed)
hset(KEYS[5], positions)

return { version, lost, free, alive }
