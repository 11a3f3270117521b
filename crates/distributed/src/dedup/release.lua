-- Raises the lowest live hop of a delivery and ends the claim of lower ones. KEYS[1]: the delivery. ARGV: the lowest live
-- hop, how long the delivery is remembered (ms).
local known = redis.call('HMGET', KEYS[1], 'done', 'low', 'hop')
if known[1] then
  return 0
end
local low = tonumber(ARGV[1])
if not known[2] or low > tonumber(known[2]) then
  redis.call('HSET', KEYS[1], 'low', low)
end
if known[3] and tonumber(known[3]) < low then
  redis.call('HDEL', KEYS[1], 'hop', 'until', 'by', 'call', 'fence')
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
