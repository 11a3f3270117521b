-- Ends a claim whose holder gives its lease back. KEYS[1]: the delivery. ARGV: hop, who claimed. Another's stays.
local known = redis.call('HMGET', KEYS[1], 'hop', 'by')
if known[1] == ARGV[1] and known[2] == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'hop', 'until', 'by', 'call')
end
return 1
