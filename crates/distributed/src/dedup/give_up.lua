-- Ends a claim whose holder gives its lease back. KEYS[1]: the delivery. ARGV: hop, who claimed, the fencing token it was claimed
-- under ('-' without one). Another's stays, and what the same process has claimed as a later owner of the gate.
local known = read(KEYS[1])
if known.hop == tonumber(ARGV[1]) and known.by == ARGV[2] and known.fence == ARGV[3] then
  known.hop = nil
  write(KEYS[1], known, math.max(redis.call('PTTL', KEYS[1]), 1))
end
return 1
