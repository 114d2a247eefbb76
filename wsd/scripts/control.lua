-- Who has control of a robot: a lease that its holder renews.
-- KEYS: tr:devices tr:held tr:ctl:ID tr:cmds:ID
-- ARGV: acquire, take, renew, release or expire (a release that nobody asked for); device id, SENDER, its name, the
-- lease in ms, JSON without its last brace of a zero motion of the drive and of one of the camera, time of arrival (ms of
-- Redis' clock)
-- Returns {0 granted, renewed or released, 1 somebody else has it or no such robot is known, 2 it was not the
-- sender's any more; epoch; name of the holder, '' nobody}.
local op, id, sender, by, control_ms = ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
local GRANTED, REFUSED, LOST = 0, 1, 2
local key = 'tr:ctl:' .. id
local last, epoch, holder, name, over = unpack(call('HMGET', key, 'seq', 'epoch', 'holder', 'name', 'until'))
epoch = tonumber(epoch or 0) or 0
over = math.min(tonumber(over or 0) or 0, now_ms + control_ms) -- the clock may have gone back
local held = holder and holder ~= '' and over > now_ms
local mine = held and holder == sender

local ends = op == 'release' or op == 'expire'
if ends and holder == sender then
  return {mine and GRANTED or LOST, end_control(id, op), ''}
end
if mine then
  call('HSET', key, 'until', int(now_ms + control_ms))
  return {GRANTED, epoch, by}
end
if ends or op == 'renew' then
  return {LOST, epoch, held and name or ''}
end
if held and op ~= 'take' then
  return {REFUSED, epoch, name}
end
if not known(id) then
  return {REFUSED, 0, ''}
end

-- A new epoch. The robot is stopped with it first, and takes nothing of an older one from then on.
epoch = after(epoch, now_ms)
local number = after(last, now_us)
call('HSET', key, 'seq', int(number + 1), 'driver', '', 'camera', '', 'epoch', int(epoch), 'holder', sender,
  'name', by, 'until', int(now_ms + control_ms))
call('SADD', 'tr:held', id)
local o = { by = by, tail = sender .. '/0 0 ', deadline = '0', received = ARGV[12], cause = 'grant' }
o.kind, o.open = 'robot_move', ARGV[10]
order(id, o, int(number), int(epoch), call)
o.kind, o.open = 'camera_move', ARGV[11]
order(id, o, int(number + 1), int(epoch), call)
call('PUBLISH', 'tr/state', control_line(id))
event('control', id, ',"by":"' .. by .. '","what":"' .. op .. '","epoch":' .. int(epoch))
return {GRANTED, epoch, by}
