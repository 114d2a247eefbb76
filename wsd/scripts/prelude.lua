-- What every script begins with: the build puts this in front of each.
--
-- ARGV of every script: instance, relay name, most events, most commands per device to keep (0: any); its own follow.
-- Keys are made here, so all of this needs one Redis, no cluster. Names (device ids, relays, people) have no
-- character that JSON or a space-separated text would have to escape; other text comes as JSON.
-- No other Redis commands than TIME HGET HMGET HSET HDEL HKEYS HGETALL HEXISTS HLEN GET SET INCR SADD SREM SMEMBERS
-- SCARD ZADD ZSCORE ZCARD ZREM ZRANGE ZRANGEBYSCORE PUBLISH XADD XREVRANGE DEL PEXPIRE, and of redis. only call,
-- pcall and sha1hex: the simulation knows no others.
local instance, relay, events_maxlen, commands_maxlen = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local call = redis.call
local clock = call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now_us / 1000)

-- Lua writes numbers with 14 digits; a time in microseconds has 16.
local function int(number)
  return string.format('%.0f', number)
end

-- The number after `last` (text or false), never less than `least`: it rises, whatever was lost or restored.
local function after(last, least)
  return math.max((tonumber(last or 0) or 0) + 1, least)
end

-- Now, as in messages.
local function stamp()
  local days = math.floor(clock[1] / 86400)
  local seconds = clock[1] - days * 86400
  -- Days since 1 March of the year 0; a year ends with February (H. Hinnant, days_from_civil, backwards).
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', yoe + era * 400 + (month <= 2 and 1 or 0), month,
    doy - math.floor((153 * mp + 2) / 5) + 1, math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60,
    clock[2])
end

-- write: redis.call, or redis.pcall where what follows matters more
local function append(stream, maxlen, members, write)
  if maxlen == '0' then
    write('XADD', stream, '*', 'd', members)
  else
    write('XADD', stream, 'MAXLEN', '~', maxlen, '*', 'd', members)
  end
end

-- more: further JSON members, each with a comma in front
local function event(kind, id, more)
  append('tr:events', events_maxlen, '"kind":"' .. kind .. '","device_id":"' .. id .. '"' .. more, call)
end

-- Devices that never were leave no trace, or anybody could fill the store with names.
local function known(id)
  return call('ZSCORE', 'tr:devices', id) and true
end

-- Who is online: connection number and relay instance as text, or nothing.
local function place(id)
  local entry = call('HGET', 'tr:online', id)
  if entry then
    local conn, owner = string.match(entry, '^(%d+) %d+ (%S+)')
    return conn, owner
  end
end

local function gone(id, conn)
  local number = call('INCR', 'tr:pseq') -- first: where it fails nothing has happened
  call('HDEL', 'tr:online', id)
  call('ZADD', 'tr:devices', now_ms, id)
  call('PUBLISH', 'tr/pres', string.format('%d down %s %s', number, conn, id))
  event('disconnected', id, '')
end

-- An order, o: deadline, kind, tail (SENDER/T0 IDLEN ID), open (its JSON without seq, epoch and the last brace), by,
-- received, cause (why a relay sent it in somebody's name). What is added to it; seq, epoch: text, epoch nil or false:
-- none.
local function numbers(seq, epoch)
  return epoch and ',"seq":' .. seq .. ',"epoch":' .. epoch or ',"seq":' .. seq
end

-- added: of numbers()
local function audit(id, o, added, outcome, write)
  append('tr:cmds:' .. id, commands_maxlen, string.sub(added, 2) .. ',"by":"' .. o.by .. '","relay":"' .. relay ..
    (o.cause and '","cause":"' .. o.cause or '') .. '","received_ms":' .. o.received .. ',"outcome":"' .. outcome ..
    '","command":' .. o.open .. added .. '}', write)
end

-- Returns 1 or 0 (nobody has the robot).
local function publish(id, o, seq, added)
  return math.min(1, call('PUBLISH', 'tr/cmd/' .. id,
    o.deadline .. ' ' .. o.kind .. ' ' .. seq .. ' ' .. o.tail .. ' ' .. o.open .. added .. '}'))
end

-- The same with its entry in the history.
local function order(id, o, seq, epoch, write)
  local added = numbers(seq, epoch)
  local robots = publish(id, o, seq, added)
  audit(id, o, added, robots == 1 and 'sent' or 'no_robot', write)
  return robots
end

-- A zero in the name of a driver that cannot say so any more. is_his: of SENDER, who drove last
local function rest(id, is_his)
  local key = 'tr:ctl:' .. id
  local last, driver, camera = unpack(call('HMGET', key, 'seq', 'driver', 'camera'))
  local o = { deadline = '0', tail = instance .. '/0/0 0 ', by = '-', received = int(now_ms), cause = 'deadman' }
  for _, axis in ipairs({ { 'driver', driver, 'robot_move' }, { 'camera', camera, 'camera_move' } }) do
    local field, sender, kind = unpack(axis)
    if sender and sender ~= '' and is_his(sender) then
      last = int(after(last, now_us))
      call('HSET', key, 'seq', last, field, '')
      o.kind, o.open = kind, '{"type":"' .. kind .. '","x":0,"y":0,"timestamp":"' .. stamp() .. '"'
      order(id, o, last, nil, call)
    end
  end
end

-- Everything that websites of a relay drove.
local function rest_all(name)
  local own = name .. '/'
  for _, id in ipairs(call('HKEYS', 'tr:online')) do
    rest(id, function(sender) return string.sub(sender, 1, #own) == own end)
  end
end

-- A relay is no more: what its websites drove comes to rest, and its robots go, but for those that are elsewhere by
-- now. 1 when it had a lease, else 0.
local function clear(name)
  rest_all(name)
  for _, id in ipairs(call('SMEMBERS', 'tr:owned:' .. name)) do
    local conn, owner = place(id)
    if owner == name then
      gone(id, conn)
    end
  end
  call('DEL', 'tr:owned:' .. name)
  return call('ZREM', 'tr:relays', name)
end

-- What tr/state says about a robot.
local function stop_line(id)
  local seq, stopped, confirmed, at, by =
    unpack(call('HMGET', 'tr:ctl:' .. id, 'sseq', 'stopped', 'confirmed', 'at', 'by'))
  return string.format('stop %s %s %s %s %s %s', id, seq or 0, stopped or 0, confirmed or 0, at or 0, by or '-')
end

local function control_line(id)
  local epoch, holder, name = unpack(call('HMGET', 'tr:ctl:' .. id, 'epoch', 'holder', 'name'))
  if not holder or holder == '' then
    holder, name = '-', '-'
  end
  return string.format('control %s %s %s %s', id, epoch or 0, holder, name)
end

-- The stop or re-arm that is in force, told to the robot once more.
local function repeat_stop(id, kind)
  local seq, by = unpack(call('HMGET', 'tr:ctl:' .. id, 'sseq', 'by'))
  seq = seq or '0'
  publish(id, { deadline = '0', kind = kind, tail = instance .. '/0/0 0 ',
    open = '{"type":"' .. kind .. '","by":"' .. (by or '-') .. '","timestamp":"' .. stamp() .. '"' }, seq, numbers(seq))
end

-- Nobody has control any more, and what the holder drove comes to rest. The epoch rises, so that this is newer than
-- the grant; returns it.
local function end_control(id, how)
  local epoch, holder, name = unpack(call('HMGET', 'tr:ctl:' .. id, 'epoch', 'holder', 'name'))
  epoch = int(after(epoch, now_ms))
  call('HSET', 'tr:ctl:' .. id, 'epoch', epoch, 'holder', '', 'name', '', 'until', 0)
  call('SREM', 'tr:held', id)
  rest(id, function(sender) return sender == holder end)
  call('PUBLISH', 'tr/state', control_line(id))
  event('control', id, ',"by":"' .. (name or '-') .. '","what":"' .. how .. '","epoch":' .. epoch)
  return tonumber(epoch)
end
