-- Raises the lowest live hop of a delivery and ends the claim of lower ones. KEYS[1]: the delivery. ARGV: the lowest live
-- hop, how long the delivery is remembered (ms).
local known, low = read(KEYS[1]), tonumber(ARGV[1])
if known.ended then
  return 0
end
known.low = math.max(low, known.low or low)
if known.hop and known.hop < low then
  known.hop = nil
end
write(KEYS[1], known, ARGV[2])
return 1
