-- Ends a claim whose holder gives its lease back. KEYS[1]: the delivery. ARGV: hop, who claimed, the fencing token it was claimed
-- under ('' without one). Another's stays, and what the same process has claimed as a later owner of the gate.
local known = redis.call('HMGET', KEYS[1], 'hop', 'by', 'fence')
if known[1] == ARGV[1] and known[2] == ARGV[2] and (known[3] or '') == ARGV[3] then
  redis.call('HDEL', KEYS[1], 'hop', 'until', 'by', 'call', 'fence')
end
return 1
