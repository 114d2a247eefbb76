-- Stop or re-arm one robot, or all that are known: latched, told to the robots and to all relays.
-- KEYS: tr:online tr:devices tr:latched tr:ctl:ID tr:cmds:ID
-- ARGV: device id ('' for all), 1 stop or 0 re-arm, number that robots have been told already (0: none), time of
-- arrival (ms of Redis' clock), JSON without its last brace, name of the sender, "SENDER/T0 IDLEN ID"
-- Returns {0, to how many robots, its highest number}.
local target, stopped, given = ARGV[5], ARGV[6], tonumber(ARGV[7])
local o = { deadline = '0', kind = stopped == '1' and 'stop' or 'rearm', received = ARGV[8], open = ARGV[9],
  by = ARGV[10], tail = ARGV[11] }
local robots, highest = 0, 0

-- away: not online. It is told when it comes (attach.lua), so that is neither sent nor kept among its commands.
local function apply(id, away)
  local key = 'tr:ctl:' .. id
  local last, was = unpack(call('HMGET', key, 'seq', 'stopped'))
  local number = after(last, 0)
  number = given >= number and given or math.max(number, now_us) -- the same for those who know it already
  local seq = int(number)
  local reached = away and 0 or order(id, o, seq)
  if not reached then
    return
  end
  robots, highest = robots + reached, math.max(highest, number)
  if stopped == '1' or was == '1' then
    call('HSET', key, 'seq', seq, 'sseq', seq, 'stopped', stopped, 'confirmed', 0, 'at', int(now_ms), 'by', o.by,
      'driver', '', 'camera', '')
    call(stopped == '1' and 'SADD' or 'SREM', 'tr:latched', id)
  elseif away then
    return
  else
    call('HSET', key, 'seq', seq) -- a re-arm of a robot that is not stopped
  end
  call('PUBLISH', 'tr/state', stop_line(id))
  event(o.kind, id, ',"by":"' .. o.by .. '","seq":' .. seq)
end

if target ~= '' then
  apply(target, false)
else
  local online = {}
  for _, id in ipairs(call('HKEYS', 'tr:online')) do
    online[id] = true
    apply(id, false)
  end
  for _, id in ipairs(call('ZRANGE', 'tr:devices', 0, -1)) do
    if not online[id] then
      apply(id, true)
    end
  end
end
return {0, robots, highest}
