-- Samples of a robot that had to wait, oldest first: all are stored, or none, and each once.
-- KEYS: tr:tel:ID tr:back:ID
-- ARGV: device id, most samples of it to keep (0: any), the latest time that can be right (ms), lines of "TIME_MS METRICS",
-- 1 to note what is stored under another time than its own
-- Returns for each the time that it is stored under, in ms; 0: that is so already.
local id, maxlen, latest = ARGV[5], ARGV[6], tonumber(ARGV[7])
local key, back = 'tr:tel:' .. id, 'tr:back:' .. id
local BACK_MOST, BACK_MS = 1000, 3600000
local SAME_MOST = 100 -- samples of one ms that are looked at, the newest: nobody may fill one and have it read again and again
local stored, marks, new = {}, {}, {}
local noted = call('HLEN', back)
local there_at, there
local newest = call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0

local function is_there(time, metrics)
  if there_at ~= time then
    there_at, there = time, {}
    for _, entry in ipairs(call('XREVRANGE', key, time, time, 'COUNT', SAME_MOST)) do
      there[entry[2][2]] = true
    end
  end
  return there[metrics]
end

local function mark_of(time, metrics)
  return time .. ' ' .. redis.sha1hex(metrics)
end

-- It got the time of arrival before, even if its own could be right by now.
local function is_noted(time, metrics)
  return noted > 0 and call('HEXISTS', back, mark_of(time, metrics)) == 1
end

-- at: an id, or '*'; where the stream has had later ones that are gone, the time is that of arrival as well.
local function add(at, metrics, write)
  local entry
  if maxlen == '0' then
    entry = write('XADD', key, at, 'd', metrics)
  else
    entry = write('XADD', key, 'MAXLEN', '~', maxlen, at, 'd', metrics)
  end
  return type(entry) == 'string' and tonumber(string.match(entry, '^%d+'))
end

-- Under the time of arrival. Nothing in the stream tells such a sample from another one, so that is written down.
local function add_now(time, metrics)
  if ARGV[9] ~= '1' then
    return add('*', metrics, call)
  end
  local mark = mark_of(time, metrics)
  if marks[mark] then
    return 0
  end
  local at = add('*', metrics, call)
  marks[mark] = true
  new[#new + 1], new[#new + 2] = mark, int(at)
  return at
end

-- Those of their own time first, or one that has none would take it from the others.
local others = {}
for time, metrics in string.gmatch(ARGV[8], '(%d+) ([^\n]*)\n') do
  local ms, i = tonumber(time), #stored + 1
  if ms <= last and is_there(time, metrics) or is_noted(time, metrics) then
    stored[i] = 0
  else
    stored[i] = ms > 0 and ms >= last and ms <= latest and add(time .. '-*', metrics, redis.pcall) or -1
    last = math.max(last, stored[i])
  end
  if stored[i] < 0 then
    others[#others + 1] = { i, time, metrics }
  elseif there_at == time then
    there[metrics] = true
  end
end
for _, one in ipairs(others) do
  stored[one[1]] = add_now(one[2], one[3])
end

if #new > 0 then
  if noted + #new / 2 > BACK_MOST then
    call('DEL', back)
  end
  call('HSET', back, unpack(new))
  call('PEXPIRE', back, BACK_MS)
end
return stored
