-- Whether a shard may identify now. KEYS: meta, identifies, buckets. ARGV: see below.

local shard, concurrency = tonumber(ARGV[1]), tonumber(ARGV[2])
local total, reserve = tonumber(ARGV[3]), tonumber(ARGV[4])
-- What Discord has counted, when it said so, and when it counts from zero again.
local told, told_at = tonumber(ARGV[5]), now - ARGV[6]
local reset_at = told_at + ARGV[7]
-- The time between two identifies of a bucket, and how long one counts.
local pace, window = tonumber(ARGV[8]), tonumber(ARGV[9])

local bucket = whole(shard % concurrency)
local free_at = number(KEYS[3], bucket)

-- Identifies that Discord knew of and we did not: how many, and until when they count.
local foreign, foreign_until = 0, 0
local text = redis.call('HGET', KEYS[3], 'foreign')
if text then
  local count, till = string.match(text, '^(%d+) (%d+)$')
  if not count or #count > 15 or #till > 15 then
    corrupt(KEYS[3], 'foreign', 'it is not "<count> <until>"')
  end
  if tonumber(till) > now then
    foreign, foreign_until = tonumber(count), tonumber(till)
  end
end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - window))
local unknown = told - redis.call('ZCOUNT', KEYS[2], '-inf', whole(told_at))
if reset_at > now and unknown > foreign then
  foreign, foreign_until = unknown, reset_at
  redis.call('HSET', KEYS[3], 'foreign', whole(foreign) .. ' ' .. whole(foreign_until))
end

local own = redis.call('ZCARD', KEYS[2])
local left = total - reserve - own - foreign
if left <= 0 then
  local ends = own == 0 and foreign == 0 and now + ARGV[7] or math.huge
  if own > 0 then
    ends = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] + window
  end
  if foreign > 0 then
    ends = math.min(ends, foreign_until)
  end
  return { 1, own + foreign, math.max(ends - now, 1) }
end

if free_at > now then
  -- Longer than this it is only when the clock was set back.
  if free_at > now + pace then
    free_at = now + pace
    redis.call('HSET', KEYS[3], bucket, whole(free_at))
  end
  return { 2, free_at - now, 0 }
end
redis.call('HSET', KEYS[3], bucket, whole(now + pace))
redis.call('ZADD', KEYS[2], whole(now), whole(now) .. ' shard ' .. whole(shard) .. ' #' .. own)
return { 0, left - 1, 0 }
