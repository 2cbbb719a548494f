-- Leases, for the scripts whose KEYS[2] holds them: "<token> <until> <status> <replica>" by shard.
-- One that was given back has the status "released": its token is never forgotten.

local function lease_of(text)
  local token, till, status, replica = string.match(text, '^(%d+) (%d+) (%a+) (.*)$')
  if token and #token <= 15 and #till <= 15 then
    return { token = tonumber(token), till = tonumber(till), status = status, replica = replica }
  end
end

local NO_LEASE = 'it is not "<token> <until> <status> <replica>"'

local function lease(shard)
  local text = redis.call('HGET', KEYS[2], shard)
  if not text then
    return nil
  end
  return lease_of(text) or corrupt(KEYS[2], shard, NO_LEASE)
end

local function put_lease(shard, token, till, status, replica)
  local text = whole(token) .. ' ' .. whole(till) .. ' ' .. status .. ' ' .. replica
  redis.call('HSET', KEYS[2], shard, text)
end

-- Whether what shows this token is refused: there is a newer one, or it was given back.
local function fences(old, token)
  return old and (old.token > token or (old.token == token and old.status == 'released'))
end
