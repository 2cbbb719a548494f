-- What every script begins with: the time, the checks, and what belongs to the application as a
-- whole. KEYS[1] is its meta key. Whatever is read is read before anything is written: a script
-- that ends with an error has changed nothing.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A number as we write it: without exponent.
local function whole(number)
  return string.format('%.0f', number)
end

-- Ends the script: somebody else has written this.
local function corrupt(key, field, reason)
  error('CORRUPT ' .. cjson.encode({ key, field, reason }), 0)
end

local function parsed(key, field, text)
  if not text then
    return 0
  end
  if #text > 15 or not string.match(text, '^%d+$') then
    corrupt(key, field, 'it is no whole number')
  end
  return tonumber(text)
end

local function number(key, field)
  return parsed(key, field, redis.call('HGET', key, field))
end

-- Sets fields of a hash: field, value, field, value.
local function hset(key, fields)
  for first = 1, #fields, 1000 do
    redis.call('HSET', key, unpack(fields, first, math.min(first + 999, #fields)))
  end
end

for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local ours = string.match(key, ':identifies$') and 'zset'
    or string.match(key, '}:window:') and 'string' or 'hash'
  if kind ~= 'none' and kind ~= ours then
    corrupt(key, '*', 'it is a ' .. kind .. ' and not a ' .. ours)
  end
end

local meta = redis.call('HMGET', KEYS[1], 'format', 'born', 'version', 'plan')
if not meta[1] then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    corrupt(KEYS[1], 'format', 'there is none')
  end
  meta[2] = whole(now)
  redis.call('HSET', KEYS[1], 'format', '1', 'born', meta[2])
elseif meta[1] ~= '1' then
  corrupt(KEYS[1], 'format', 'it is not 1, so a newer version of the program has written it')
end
local born = parsed(KEYS[1], 'born', meta[2])
local version = parsed(KEYS[1], 'version', meta[3])
local plan = meta[4]

-- Tells everybody to beat.
local function bump()
  version = math.max(version + 1, now)
  redis.call('HSET', KEYS[1], 'version', whole(version))
end
