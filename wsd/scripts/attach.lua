-- A robot is connected to this relay: enter it as online, newest connection wins. One that is stopped is told.
-- KEYS: tr:online tr:devices tr:conn tr:pseq tr:ctl:ID
-- ARGV: device id, connection number it had (0: a new connection), most devices (0: any)
-- Returns {connection number} or {0} (a newer connection exists) or {-1} (too many devices).
local id, had, most = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

-- Its channel is joined already. What it said before may be about an older connection.
local function remind()
  if call('HGET', 'tr:ctl:' .. id, 'stopped') == '1' then
    call('HSET', 'tr:ctl:' .. id, 'confirmed', 0)
    repeat_stop(id, 'stop')
    call('PUBLISH', 'tr/state', stop_line(id))
  end
end

local conn, owner = place(id)
conn = tonumber(conn or 0)
if owner then
  if had ~= 0 then
    if conn == had and owner == instance then
      call('SADD', 'tr:owned:' .. instance, id)
      remind()
      return {had}
    end
    if conn > had then
      return {0}
    end
  end
elseif most > 0 and not known(id) and call('ZCARD', 'tr:devices') >= most then
  return {-1}
end
local new = call('INCR', 'tr:conn')
if new <= math.max(had, conn) then
  new = math.max(had, conn) + 1
  call('SET', 'tr:conn', new)
end
if owner and owner ~= instance then
  call('SREM', 'tr:owned:' .. owner, id)
  call('PUBLISH', 'tr/relay/' .. owner, 'kick ' .. new .. ' ' .. id)
end
call('HSET', 'tr:online', id, string.format('%d %d %s %s', new, now_ms, instance, relay))
call('SADD', 'tr:owned:' .. instance, id)
call('ZADD', 'tr:devices', now_ms, id)
call('PUBLISH', 'tr/pres', string.format('%d up %d %s', call('INCR', 'tr:pseq'), new, id))
event('connected', id, ',"relay":"' .. relay .. '"')
remind()
return {new}
