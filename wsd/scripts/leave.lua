-- A relay ends: its lease goes at once, and with it the robots that it has not detached.
-- KEYS: tr:relays tr:online tr:devices tr:pseq
-- ARGV: instance
-- Returns 1 when it had a lease, else 0.
local inst = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, id in ipairs(redis.call('SMEMBERS', 'tr:owned:' .. inst)) do
  local entry = redis.call('HGET', 'tr:online', id)
  local conn, since, owner
  if entry then
    conn, since, owner = string.match(entry, '^(%d+) (%d+) (%S+)')
  end
  if owner == inst then
    redis.call('HDEL', 'tr:online', id)
    redis.call('ZADD', 'tr:devices', now, id)
    local seq = redis.call('INCR', 'tr:pseq')
    redis.call('PUBLISH', 'tr/pres', string.format('%d down %s %s', seq, conn, id))
  end
end
redis.call('DEL', 'tr:owned:' .. inst)
return redis.call('ZREM', 'tr:relays', inst)
