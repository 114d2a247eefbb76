-- A relay ends: its lease goes at once. Its robots were detached one by one before.
-- KEYS: tr:relays
-- ARGV: instance
redis.call('DEL', 'tr:owned:' .. ARGV[1])
return redis.call('ZREM', 'tr:relays', ARGV[1])
