-- Claims a delivery at a hop. KEYS[1]: the delivery. ARGV: hop, how long the claim is held (ms), how
-- long the delivery is remembered (ms), who claims, the number of this claim among theirs, the fencing token of their gate ('-'
-- without one), who is known to be gone ('' for nobody). Answers in the order of the port's `Claim`, 'busy' with who holds it.
local known, hop = read(KEYS[1]), tonumber(ARGV[1])
if known.ended then
  return { 'done', known.ended }
end
if (known.low and hop < known.low) or (known.hop and hop < known.hop) then
  return { 'stale' }
end
if known.hop == hop then
  -- The very same claim, sent again since its answer was lost on the way.
  if known.by == ARGV[4] and known.call == ARGV[5] then
    return { 'claimed' }
  end
  -- An owner of a gate takes nothing from one that came after it. Without a token it is not compared.
  local holder, claimer = tonumber(known.fence), tonumber(ARGV[6])
  if holder and claimer and holder >= claimer then
    return { 'busy' }
  end
  if known.by ~= ARGV[7] then
    return { 'busy', known.by }
  end
end
-- This copy proves that the delivery has moved on to this hop, or that its holder is gone: lower hops are stale from now on.
local claim = { low = hop, hop = hop, left = tonumber(ARGV[2]), by = ARGV[4], call = ARGV[5], fence = ARGV[6] }
write(KEYS[1], claim, ARGV[3])
return { known.hop and 'taken_over' or 'claimed' }
