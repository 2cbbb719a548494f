-- A report of one replica about Discord's limits, and what it may send. KEYS: meta, api, routes, limits; then one for each window.
-- ARGV: replica, its token's fingerprint, whether that is refused, flight time; the number of what was learned, and for each route,
-- bucket, limit, window; then for each window: kind (bucket, fixed, route), name, limit, length, permits that are out, wanted, for how
-- long it is blocked, the number of answers' ages and each with its count, the number of holds and each with its time.

local replica, token, flight = ARGV[1], ARGV[2], tonumber(ARGV[4])
local alive_for, probe, longest, most = 5000, 10, 250, 10000
local place = 4
local function text()
  place = place + 1
  return ARGV[place]
end
local function count()
  return tonumber(text())
end

local alive, gone, revoked = 1, {}, ARGV[3] == '1' and token
local api = redis.call('HGETALL', KEYS[2])
for i = 1, #api, 2 do
  if api[i] == 'revoked' then
    revoked = revoked or api[i + 1]
  elseif api[i] ~= replica then
    if parsed(KEYS[2], api[i], api[i + 1]) > now then
      alive = alive + 1
    else
      gone[#gone + 1] = api[i]
    end
  end
end

-- Limit and window of buckets, the buckets of routes: those that were looked at, and those to write.
local limits, new_limits, new_routes = {}, {}, {}
local function limit_of(bucket)
  if limits[bucket] == nil then
    local found = redis.call('HGET', KEYS[4], bucket)
    local limit, length = string.match(found or '', '^(%d+) (%d+)$')
    if found and (not limit or #limit > 15 or #length > 15) then
      corrupt(KEYS[4], bucket, 'it is not "<limit> <milliseconds>"')
    end
    limits[bucket] = limit and { tonumber(limit), tonumber(length) } or false
  end
  return limits[bucket]
end
local function set_limit(bucket, limit, length)
  limits[bucket] = { limit, length }
  new_limits[#new_limits + 1] = bucket
  new_limits[#new_limits + 1] = whole(limit) .. ' ' .. whole(length)
end

local function window_of(key, found)
  if not found then
    return { out = {}, answered = {}, blocked = 0, holds = {} }
  end
  local fine, window = pcall(cjson.decode, found)
  local good = fine and type(window) == 'table'
  for _, member in ipairs({ 'out', 'answered', 'holds' }) do
    good = good and type(window[member]) == 'table'
  end
  if not good or type(window.blocked) ~= 'number' then
    corrupt(key, '*', 'it is no window')
  end
  return window
end

-- Takes in what the replica says of a window; how many permits count then.
local function take_in(window, length, slot, out)
  local kept, used = {}, 0
  local function add(at, number)
    if at + length >= now then
      used = used + number
      kept[#kept + 1] = { at, number }
    end
  end
  for _, one in ipairs(window.answered) do
    add(one[1], one[2])
  end
  for other, one in pairs(window.out) do
    if other == replica then
      window.out[other] = nil
    elseif one[2] <= now then
      window.out[other] = nil
      add(one[2], one[1])
    else
      used = used + one[1]
    end
  end
  for _ = 1, count() do
    local at, number = now - count(), count()
    at = math.ceil(at / slot) * slot
    local last = kept[#kept]
    if last and last[1] == at then
      last[2], used = last[2] + number, used + number
    else
      add(at, number)
    end
  end
  window.answered = kept
  if out > 0 then
    window.out[replica] = { out, now + flight }
  end
  for _ = 1, count() do
    local hold, till = text(), now + count()
    window.holds[hold] = math.max(window.holds[hold] or 0, till)
  end
  return used + out
end

-- When to ask again.
local function wait_of(window, length)
  if window.blocked > now then
    return window.blocked - now
  end
  if length == 0 then
    return probe
  end
  local back = now + length
  for _, one in ipairs(window.answered) do
    back = math.min(back, one[1] + length)
  end
  local wait = math.max(back - now, 0) + 1
  return next(window.out) and math.min(wait, longest) or wait
end

local writes = {}
local function line(key, found)
  local kind, name, limit, length = text(), text(), count(), count()
  local out, wanted, blocked = count(), count(), count()
  local bucket = false
  if kind == 'bucket' then
    bucket = name
    if not limit_of(name) then
      set_limit(name, limit, length)
    end
  elseif kind == 'route' then
    limit, length = 1, 0
    bucket = new_routes[name] or redis.call('HGET', KEYS[3], name)
    bucket = bucket and limit_of(bucket) and bucket
    wanted = bucket and 0 or wanted
  end
  local known = bucket and limit_of(bucket)
  if kind == 'bucket' then
    limit, length = known[1], known[2]
  end
  local window = window_of(key, found)
  local slot = limit > 200 and math.max(math.ceil(length / 200), 1) or 1
  local used = take_in(window, length, slot, out)
  window.blocked = math.max(window.blocked, blocked > 0 and now + blocked or 0)
  local granted = window.blocked > now and 0 or math.max(math.min(wanted, limit - used), 0)
  if granted > 0 then
    window.out[replica] = { out + granted, now + flight }
  end
  local reply = {
    granted,
    granted < wanted and wait_of(window, length) or 0,
    math.max(window.blocked - now, 0),
    bucket or '',
    known and known[1] or 0,
    known and known[2] or 0,
  }
  local last = window.blocked
  for hold, till in pairs(window.holds) do
    if till > now then
      last = math.max(last, till)
      reply[#reply + 1], reply[#reply + 2] = hold, till - now
    else
      window.holds[hold] = nil
    end
  end
  for _, one in ipairs(window.answered) do
    last = math.max(last, one[1] + length)
  end
  for _, one in pairs(window.out) do
    last = math.max(last, one[2] + length)
  end
  writes[#writes + 1] = { key, window, last - now }
  return reply
end

for _ = 1, count() do
  local route, bucket, limit, length = text(), text(), count(), count()
  local known = limit_of(bucket)
  if known and known[1] == limit then
    length = math.max(length, known[2])
  end
  if not known or known[1] ~= limit or known[2] ~= length then
    set_limit(bucket, limit, length)
  end
  new_routes[route] = bucket
end
local found = #KEYS > 4 and redis.call('MGET', unpack(KEYS, 5)) or {}
local replies = {}
for i = 5, #KEYS do
  replies[#replies + 1] = line(KEYS[i], found[i - 4])
end

-- Nothing was written so far.
redis.call('HSET', KEYS[2], replica, whole(now + alive_for))
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[2], 'revoked', token)
end
for _, other in ipairs(gone) do
  redis.call('HDEL', KEYS[2], other)
end
if redis.call('HLEN', KEYS[3]) > most or redis.call('HLEN', KEYS[4]) > most then
  redis.call('DEL', KEYS[3], KEYS[4])
end
for route, bucket in pairs(new_routes) do
  redis.call('HSET', KEYS[3], route, bucket)
end
hset(KEYS[4], new_limits)
for _, key in ipairs({ KEYS[3], KEYS[4] }) do
  -- What Discord has changed in the meantime is learned anew each day.
  if redis.call('PTTL', key) == -1 then
    redis.call('PEXPIRE', key, 86400000)
  end
end
for _, write in ipairs(writes) do
  if write[3] > 0 then
    redis.call('SET', write[1], cjson.encode(write[2]), 'PX', whole(write[3] + 1000))
  else
    redis.call('DEL', write[1])
  end
end
return { alive, revoked == token and 1 or 0, replies }
