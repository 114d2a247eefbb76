-- Stop or re-arm one robot, or all that are known: latched, told to the robots and to all relays.
-- KEYS: tr:online tr:devices tr:latched tr:ctl:ID tr:cmds:ID
-- ARGV: device id ('' for all), 1 stop or 0 re-arm, number that robots have been told already (0: none), time of
-- arrival (ms of Redis' clock), JSON without its last brace, name of the sender, "SENDER/T0 IDLEN ID"
-- Returns {0 done, 1 a re-arm that came too late, 4 no such robot is known, 5 a stop that robots were told, but that
-- could not be latched; to how many robots; its highest number}.
local REARM_MS = 2000 -- who has waited longer than that does not know any more what it undoes
local target, stopped, given = ARGV[5], ARGV[6] == '1', tonumber(ARGV[7])
local o = { deadline = '0', kind = stopped and 'stop' or 'rearm', received = ARGV[8], open = ARGV[9],
  by = ARGV[10], tail = ARGV[11] }
local all, robots, highest = {}, 0, 0

-- away: not online. It is told when it comes (attach.lua), so that is neither sent nor kept among its commands.
local function add(id, away)
  local last, was, driver, camera = unpack(call('HMGET', 'tr:ctl:' .. id, 'seq', 'stopped', 'driver', 'camera'))
  away = away and (driver or '') == '' and (camera or '') == '' -- driven, so it is there, though not entered yet
  local number = after(last, 0)
  number = given >= number and given or math.max(number, now_us) -- the same for those who know it already
  if not away or stopped ~= (was == '1') then
    all[#all + 1] = { id = id, seq = int(number), was = was == '1', away = away, reached = 0 }
  end
  highest = math.max(highest, number)
end

local function tell(away)
  for _, one in ipairs(all) do
    if one.away == away then
      one.reached = publish(one.id, o, one.seq, numbers(one.seq))
      robots = robots + one.reached
    end
  end
end

local function keep()
  for _, one in ipairs(all) do
    local id, key = one.id, 'tr:ctl:' .. one.id
    if stopped or one.was then
      call('HSET', key, 'seq', one.seq, 'sseq', one.seq, 'stopped', stopped and 1 or 0, 'confirmed', 0,
        'at', int(now_ms), 'by', o.by, 'driver', '', 'camera', '')
      call(stopped and 'SADD' or 'SREM', 'tr:latched', id)
    else
      call('HSET', key, 'seq', one.seq) -- a re-arm of a robot that is not stopped
    end
    call('PUBLISH', 'tr/state', stop_line(id))
    event(o.kind, id, ',"by":"' .. o.by .. '","seq":' .. one.seq)
  end
end

local function note()
  for _, one in ipairs(all) do
    if not one.away then
      audit(one.id, o, numbers(one.seq), one.reached == 1 and 'sent' or 'no_robot', redis.pcall)
    end
  end
end

if not stopped and now_ms - tonumber(o.received) > REARM_MS then
  return {1, 0, 0}
end
if target ~= '' then
  add(target, false)
else
  local online = {}
  for _, id in ipairs(call('HKEYS', 'tr:online')) do
    online[id] = true
    add(id, false)
  end
  for _, id in ipairs(call('ZRANGE', 'tr:devices', 0, -1)) do
    if not online[id] then
      add(id, true)
    end
  end
end

-- A stop is told first, whatever can be written; what may move again is written down first.
if stopped then
  tell(false)
  if target ~= '' and robots == 0 and not known(target) then
    return {4, 0, 0}
  end
  if not pcall(keep) then
    tell(true) -- who came meanwhile could not be entered
    return {5, robots, highest}
  end
else
  if target ~= '' and not known(target) then
    return {4, 0, 0}
  end
  keep()
  tell(false)
end
note()
return {0, robots, highest}
