-- Claims a delivery at a hop. KEYS[1]: the delivery. ARGV: hop, how long the claim is held (ms), how long the delivery is
-- remembered (ms), who claims, the number of this claim among theirs, the fencing token of their gate ('' without one), who is
-- known to be gone ('' for nobody). Answers in the order of the port's `Claim`, 'busy' with who holds it. Time is this server's.
local known = redis.call('HMGET', KEYS[1], 'done', 'low', 'hop', 'until', 'by', 'call', 'fence')
if known[1] then
  return { 'done', known[1] }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local hop = tonumber(ARGV[1])
local held = nil
if known[3] and tonumber(known[4]) > now then
  held = tonumber(known[3])
end
if (known[2] and hop < tonumber(known[2])) or (held and hop < held) then
  return { 'stale' }
end
if held == hop then
  -- The very same claim, sent again since its answer was lost on the way.
  if known[5] == ARGV[4] and known[6] == ARGV[5] then
    return { 'claimed' }
  end
  -- An owner of a gate takes nothing from one that came after it. Without a token it is not compared.
  local holder, claimer = tonumber(known[7] or ''), tonumber(ARGV[6])
  if holder and claimer and holder >= claimer then
    return { 'busy' }
  end
  if known[5] ~= ARGV[7] then
    return { 'busy', known[5] }
  end
end
-- This copy proves that the delivery has moved on to this hop, or that its holder is gone: lower hops are stale from now on.
redis.call('HSET', KEYS[1], 'low', hop, 'hop', hop, 'until', now + tonumber(ARGV[2]), 'by', ARGV[4], 'call', ARGV[5], 'fence', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if held then
  return { 'taken_over' }
end
return { 'claimed' }
