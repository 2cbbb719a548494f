-- The beginning of a heartbeat, for the scripts whose KEYS[3] holds the replicas: it is heard of, and those that are not any
-- more are forgotten. ARGV: replica, what it says of itself, ttl.

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
