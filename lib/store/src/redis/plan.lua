-- Replaces the plan if nothing has changed. KEYS: meta. ARGV: expected version, expected revision (0:
-- there is no plan), plan.

if plan then
  local revision = string.match(plan, '^(%d+) ')
  if not revision or #revision > 15 then
    corrupt(KEYS[1], 'plan', 'it is not "<revision> <plan>"')
  end
  if tonumber(revision) ~= tonumber(ARGV[2]) then
    return { 0, plan }
  end
end
if version ~= tonumber(ARGV[1]) then
  return { 0, plan }
end
plan = whole(math.max(now, ARGV[2] + 1)) .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], 'plan', plan)
bump()
return { 1, plan }
