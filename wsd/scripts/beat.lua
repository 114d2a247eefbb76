-- A relay's sign of life, and the removal of what relays that gave none have left behind.
-- KEYS: tr:relays tr:beat tr:online tr:devices tr:pseq
-- ARGV: instance, lease in ms
-- Returns {seconds, microseconds (Redis' clock), 1 when this relay's own lease had run out}.
local inst, lease = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Nobody gave a sign of life for a while, or the clock jumped: Redis was away, not the relays. Their
-- leases say nothing then, so every relay gets a whole lease before anything is removed.
local last, hold = unpack(redis.call('HMGET', 'tr:beat', 'at', 'hold'))
last, hold = tonumber(last or now), tonumber(hold or 0)
if now < last or now - last > lease / 2 or hold > now + lease then
  hold = now + lease
  for _, name in ipairs(redis.call('ZRANGE', 'tr:relays', 0, -1)) do
    redis.call('ZADD', 'tr:relays', hold, name)
  end
end
redis.call('HSET', 'tr:beat', 'at', now, 'hold', hold)
local fresh = redis.call('ZADD', 'tr:relays', now + lease, inst)
if now >= hold then
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', 'tr:relays', '-inf', now)) do
    for _, id in ipairs(redis.call('SMEMBERS', 'tr:owned:' .. dead)) do
      local entry = redis.call('HGET', 'tr:online', id)
      local conn, since, owner
      if entry then
        conn, since, owner = string.match(entry, '^(%d+) (%d+) (%S+)')
      end
      if owner == dead then
        redis.call('HDEL', 'tr:online', id)
        redis.call('ZADD', 'tr:devices', now, id)
        local seq = redis.call('INCR', 'tr:pseq')
        redis.call('PUBLISH', 'tr/pres', string.format('%d down %s %s', seq, conn, id))
      end
    end
    redis.call('DEL', 'tr:owned:' .. dead)
    redis.call('ZREM', 'tr:relays', dead)
  end
end
return {time[1], time[2], fresh}
