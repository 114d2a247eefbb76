-- One command to one robot or to all that are online.
-- KEYS: tr:online
-- ARGV: device id ('' for all), deadline (ms of Redis' clock), message type, JSON
-- Returns to how many robots it is on its way, or -1 when its deadline has passed: a command that
-- waited in a queue before Redis is never delivered late.
local id, deadline = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > deadline then
  return -1
end
local text = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
if id ~= '' then
  return math.min(1, redis.call('PUBLISH', 'tr/cmd/' .. id, text))
end
local robots = 0
for _, online in ipairs(redis.call('HKEYS', 'tr:online')) do
  robots = robots + math.min(1, redis.call('PUBLISH', 'tr/cmd/' .. online, text))
end
return robots
