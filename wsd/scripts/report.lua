-- A robot says whether it is stopped. What is newer wins, and the other side is told; in doubt it is stopped.
-- KEYS: tr:latched tr:ctl:ID
-- ARGV: device id, 1 stopped or 0, its number (-1: none), who did it
-- Returns 1 when it agrees with what was latched, else 0.
local id, stopped, own, by = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]
local key = 'tr:ctl:' .. id
local last, sseq, latched, confirmed = unpack(call('HMGET', key, 'seq', 'sseq', 'stopped', 'confirmed'))
if own > 2 ^ 52 then
  own = -1 -- the year 2112: nonsense, and nothing could be newer
end
-- A store that was lost, or whose clock went back, goes on behind what the robot has seen.
if own > (tonumber(last or 0) or 0) then
  last = int(own)
  call('HSET', key, 'seq', last)
end

if stopped == (latched or '0') then
  if confirmed == '0' and own >= 0 and own < (tonumber(sseq or 0) or 0) then
    repeat_stop(id, stopped == '1' and 'stop' or 'rearm') -- it speaks of an older one
    return 0
  end
  if confirmed == '0' then
    call('HSET', key, 'confirmed', 1)
    call('PUBLISH', 'tr/state', stop_line(id))
    event('confirmed', id, ',"stopped":' .. (stopped == '1' and 'true' or 'false') .. ',"seq":' .. sseq)
  end
  return 1
end
if stopped == '1' and (own < 0 or own >= (tonumber(sseq or 0) or 0)) then
  local seq = own < 0 and int(after(last, now_us)) or int(own)
  call('HSET', key, 'seq', int(math.max(tonumber(seq), tonumber(last or 0) or 0)), 'sseq', seq, 'stopped', 1,
    'confirmed', 1, 'at', int(now_ms), 'by', by, 'driver', '', 'camera', '')
  call('SADD', 'tr:latched', id)
  call('PUBLISH', 'tr/state', stop_line(id))
  event('stop', id, ',"by":"' .. by .. '","seq":' .. seq)
  return 0
end
if stopped == '0' and confirmed ~= '0' then
  call('HSET', key, 'confirmed', 0)
  call('PUBLISH', 'tr/state', stop_line(id))
end
repeat_stop(id, stopped == '1' and 'rearm' or 'stop')
return 0
