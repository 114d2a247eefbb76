-- A robot is connected to this relay: enter it as online, newest connection wins.
-- KEYS: tr:online tr:devices tr:conn tr:pseq
-- ARGV: device id, instance, relay name, connection number it had (0: a new connection), most devices (0: any)
-- Returns {connection number} or {0} (a newer connection exists) or {-1} (too many devices).
local id, inst, relay, had, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entry = redis.call('HGET', 'tr:online', id)
local conn, since, owner
if entry then
  conn, since, owner = string.match(entry, '^(%d+) (%d+) (%S+)')
  conn = tonumber(conn)
  if had ~= 0 then
    if conn == had and owner == inst then
      redis.call('SADD', 'tr:owned:' .. inst, id)
      return {had}
    end
    if conn > had then
      return {0}
    end
  end
elseif most > 0 and not redis.call('ZSCORE', 'tr:devices', id) and redis.call('ZCARD', 'tr:devices') >= most then
  return {-1}
end
local new = redis.call('INCR', 'tr:conn')
if new <= math.max(had, conn or 0) then
  new = math.max(had, conn or 0) + 1
  redis.call('SET', 'tr:conn', new)
end
if owner and owner ~= inst then
  redis.call('SREM', 'tr:owned:' .. owner, id)
  redis.call('PUBLISH', 'tr/relay/' .. owner, 'kick ' .. new .. ' ' .. id)
end
redis.call('HSET', 'tr:online', id, string.format('%d %d %s %s', new, now, inst, relay))
redis.call('SADD', 'tr:owned:' .. inst, id)
redis.call('ZADD', 'tr:devices', now, id)
local seq = redis.call('INCR', 'tr:pseq')
redis.call('PUBLISH', 'tr/pres', string.format('%d up %d %s', seq, new, id))
return {new}
