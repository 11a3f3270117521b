-- Marks a delivery as ended. KEYS[1]: the delivery. ARGV: its end, how long that is remembered (ms). The first end stays.
if redis.call('HEXISTS', KEYS[1], 'done') == 1 then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'done', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
