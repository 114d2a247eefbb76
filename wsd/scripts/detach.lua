-- A robot's connection ended: take it out of the online robots, unless a newer connection is there.
-- KEYS: tr:online tr:devices tr:pseq
-- ARGV: device id, connection number
-- Returns {1} when it went offline, {0} when another connection has taken over.
local id, had = ARGV[5], ARGV[6]
local conn, owner = place(id)
if conn ~= had or owner ~= instance then
  return {0}
end
gone(id, conn)
call('SREM', 'tr:owned:' .. instance, id)
return {1}
