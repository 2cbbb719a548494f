-- What the shards of a set have left. KEYS: meta, tails. ARGV: shard count.

local tails = {}
local kept = redis.call('HKEYS', KEYS[2])
for _, shard in ipairs(kept) do
  local id, count = string.match(shard, '^(%d+)/(%d+)$')
  if count == ARGV[1] then
    local till, tail = string.match(redis.call('HGET', KEYS[2], shard), '^(%d+) (.*)$')
    if not till then
      corrupt(KEYS[2], shard, 'it is not "<until> <tail>"')
    end
    if tonumber(till) > now then
      tails[#tails + 1] = id
      tails[#tails + 1] = tail
    end
  end
end
return tails
