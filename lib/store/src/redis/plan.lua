-- Replaces the plan if it is still the one expected. KEYS: meta. ARGV: expected revision, plan.

if plan then
  local revision = string.match(plan, '^(%d+) ')
  if not revision or #revision > 15 then
    corrupt(KEYS[1], 'plan', 'it is not "<revision> <plan>"')
  end
  if tonumber(revision) ~= tonumber(ARGV[1]) then
    return { 0, plan }
  end
end
plan = whole(math.max(now, ARGV[1] + 1)) .. ' ' .. ARGV[2]
redis.call('HSET', KEYS[1], 'plan', plan)
bump()
return { 1, plan }
