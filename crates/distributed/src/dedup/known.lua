-- What is known of a delivery is one text: 'done <end>', or its lowest live hop and who holds it, 'live <low> <hop> <held>
-- <remembered> <by> <call> <fence>', all but the first '-' where nobody does. A claim is held for so many ms since the text was
-- written, and how long ago that was follows from how much is left of the ms that it is remembered, so that the command by which
-- most claims are made need not know the time.
local function read(key)
  local text = redis.call('GET', key)
  if not text then
    return {}
  end
  local ended = string.match(text, '^done (.+)$')
  if ended then
    return { ended = ended }
  end
  local low, hop, held, remembered, by, call, fence =
    string.match(text, '^live (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  local known = { low = tonumber(low) }
  if hop ~= '-' then
    local left = tonumber(held) - (tonumber(remembered) - redis.call('PTTL', key))
    if left > 0 then
      known.hop, known.left, known.by, known.call, known.fence = tonumber(hop), left, by, call, fence
    end
  end
  return known
end

-- Writes what is known of a live delivery, to be remembered for so many ms from now on.
local function write(key, known, remembered)
  local claim = '- - - - - -'
  if known.hop then
    local left = string.format('%.0f', known.left)
    claim = table.concat({ known.hop, left, remembered, known.by, known.call, known.fence }, ' ')
  end
  redis.call('SET', key, 'live ' .. known.low .. ' ' .. claim, 'PX', remembered)
end
