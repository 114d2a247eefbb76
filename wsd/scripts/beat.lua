-- A relay's sign of life, and the removal of what others have left behind: robots of relays that gave none, and
-- control that was not renewed.
-- KEYS: tr:relays tr:beat tr:online tr:devices tr:pseq tr:held tr:ctl:* tr:cmds:*
-- ARGV: lease in ms, control lease in ms
-- Returns {seconds, microseconds (Redis' clock), 1 when this relay's own lease had run out}.
local lease, control_ms = tonumber(ARGV[5]), tonumber(ARGV[6])

local function work()
  for _, id in ipairs(call('SMEMBERS', 'tr:held')) do
    local over = tonumber(call('HGET', 'tr:ctl:' .. id, 'until') or 0) or 0
    if over <= now_ms then
      end_control(id, 'expire')
    elseif over > now_ms + control_ms then -- the clock went back
      call('HSET', 'tr:ctl:' .. id, 'until', int(now_ms + control_ms))
    end
  end

  -- Nobody gave a sign of life for a while, or the clock jumped: Redis was away, not the relays. Their
  -- leases say nothing then, so every relay gets a whole lease before anything is removed.
  local last, hold = unpack(call('HMGET', 'tr:beat', 'at', 'hold'))
  last, hold = tonumber(last or now_ms), tonumber(hold or 0)
  if now_ms < last or now_ms - last > lease / 2 or hold > now_ms + lease then
    hold = now_ms + lease
    for _, name in ipairs(call('ZRANGE', 'tr:relays', 0, -1)) do
      call('ZADD', 'tr:relays', hold, name)
    end
  end
  call('HSET', 'tr:beat', 'at', now_ms, 'hold', hold)
  local fresh = call('ZADD', 'tr:relays', now_ms + lease, instance)
  if now_ms >= hold then
    for _, dead in ipairs(call('ZRANGEBYSCORE', 'tr:relays', '-inf', now_ms)) do
      clear(dead)
    end
  end
  return fresh
end

-- Where nothing can be written, the relay lives all the same, and needs to know the time.
local ok, fresh = pcall(work)
return {clock[1], clock[2], ok and fresh or 0}
