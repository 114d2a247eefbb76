-- One command to one robot or to all that are online.
-- KEYS: tr:online tr:devices tr:ctl:ID tr:cmds:ID
-- ARGV: device id ('' for all), deadline (0: none) and time of arrival (ms of Redis' clock), message type, JSON without its
-- last brace, SENDER, name of the sender, "SENDER/T0 IDLEN ID", flags: x only who has control may, z a motion that
-- stops, d the relay's own zero: for the sender's motion, and only if that was the robot's last
-- Returns {0 sent, 1 expired, 2 stopped, 3 not in control; to how many robots; its highest number}.
local target, deadline, kind, sender, flags = ARGV[5], tonumber(ARGV[6]), ARGV[8], ARGV[10], ARGV[13]
local o = { deadline = ARGV[6], received = ARGV[7], kind = kind, open = ARGV[9], by = ARGV[11], tail = ARGV[12] }
local function flag(letter)
  return string.find(flags, letter, 1, true) ~= nil
end
local exclusive, zero, deadman = flag('x'), flag('z'), flag('d')
o.cause = deadman and 'deadman'
local axis = kind == 'robot_move' and 'driver' or kind == 'camera_move' and 'camera'
local codes = { sent = 0, no_robot = 0, expired = 1, stopped = 2, not_in_control = 3 }
local expired = deadline ~= 0 and now_ms > deadline -- what waited in a queue before Redis is never delivered late
-- What moves a robot goes out only once it is written down in whose name it can be stopped. What stops it goes out
-- whatever can be written.
local write = zero and redis.pcall or call
local robots, highest = 0, 0

local function decide(id)
  local key = 'tr:ctl:' .. id
  local last, driver, stopped, epoch, holder, over
  if exclusive then
    last, driver, stopped, epoch, holder, over =
      unpack(call('HMGET', key, 'seq', axis or 'driver', 'stopped', 'epoch', 'holder', 'until'))
  else
    last, driver, stopped = unpack(call('HMGET', key, 'seq', axis or 'driver', 'stopped'))
  end
  if deadman and driver ~= sender then
    return 'no_robot'
  end
  local may = not exclusive or deadman or kind == 'request_frame' or
    (holder == sender and (tonumber(over) or 0) > now_ms)
  if target == '' and not may then
    return 'not_in_control' -- it was not meant
  end
  local refused = expired and 'expired' or axis and stopped == '1' and 'stopped' or not may and 'not_in_control'
  local number = after(last, now_us)
  local seq = int(number)
  local was = last or known(id) -- who has had a command is known; asking takes time
  if refused then
    if was then
      write('HSET', key, 'seq', seq)
      audit(id, o, numbers(seq, epoch), refused, write)
    end
    return refused
  end
  if was then
    if axis then
      write('HSET', key, 'seq', seq, axis, zero and '' or sender)
    else
      write('HSET', key, 'seq', seq)
    end
    robots, highest = robots + order(id, o, seq, epoch, write), math.max(highest, number)
  end
  return 'sent'
end

if target ~= '' then
  return {codes[decide(target)], robots, highest}
end
local result
for _, id in ipairs(call('HKEYS', 'tr:online')) do
  local code = codes[decide(id)]
  -- One that went is success; of the others the one that came furthest says why.
  result = math.min(result or code, code)
end
if expired then
  result = codes.expired
end
return {result or codes.sent, robots, highest}
