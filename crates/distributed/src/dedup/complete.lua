-- Marks a delivery as ended. KEYS[1]: the delivery. ARGV: its end, how long that is remembered (ms). The first end stays.
local known = redis.call('GET', KEYS[1])
if known and string.sub(known, 1, 5) == 'done ' then
  return 0
end
redis.call('SET', KEYS[1], 'done ' .. ARGV[1], 'PX', ARGV[2])
return 1
