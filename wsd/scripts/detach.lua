-- A robot's connection ended: take it out of the online robots, unless a newer connection is there.
-- KEYS: tr:online tr:devices tr:pseq
-- ARGV: device id, instance, connection number
-- Returns {1} when it went offline, {0} when another connection has taken over.
local id, inst, had = ARGV[1], ARGV[2], ARGV[3]
local entry = redis.call('HGET', 'tr:online', id)
if not entry then
  return {0}
end
local conn, since, owner = string.match(entry, '^(%d+) (%d+) (%S+)')
if conn ~= had or owner ~= inst then
  return {0}
end
local time = redis.call('TIME')
redis.call('HDEL', 'tr:online', id)
redis.call('SREM', 'tr:owned:' .. inst, id)
redis.call('ZADD', 'tr:devices', time[1] * 1000 + math.floor(time[2] / 1000), id)
local seq = redis.call('INCR', 'tr:pseq')
redis.call('PUBLISH', 'tr/pres', string.format('%d down %s %s', seq, conn, id))
return {1}
