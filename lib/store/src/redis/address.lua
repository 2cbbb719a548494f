-- Invalid requests of one egress address. KEYS: meta, invalid. ARGV: how many more there were, for how long the address is banned.

local slot, slots = math.floor(now / 10000), 60
local total, till, gone = tonumber(ARGV[1]), 0, {}
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
  local number = parsed(KEYS[2], known[i], known[i + 1])
  if known[i] == 'banned' then
    till = number
  elseif parsed(KEYS[2], known[i], known[i]) + slots >= slot then
    total = total + number
  else
    gone[#gone + 1] = known[i]
  end
end

for _, field in ipairs(gone) do
  redis.call('HDEL', KEYS[2], field)
end
if tonumber(ARGV[1]) > 0 then
  redis.call('HINCRBY', KEYS[2], whole(slot), ARGV[1])
end
if tonumber(ARGV[2]) > 0 and now + ARGV[2] > till then
  till = now + ARGV[2]
  redis.call('HSET', KEYS[2], 'banned', whole(till))
end
return { total, math.max(till - now, 0) }
