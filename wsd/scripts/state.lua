-- Who is stopped and who has control of what, to this relay's own channel: so it arrives in order with the changes
-- in tr/state, what comes after it is newer.
-- KEYS: tr:latched tr:held tr:ctl:*
-- Returns how many lines follow the first.
local lines = { 'states' }
for _, id in ipairs(call('SMEMBERS', 'tr:latched')) do
  lines[#lines + 1] = stop_line(id)
end
for _, id in ipairs(call('SMEMBERS', 'tr:held')) do
  lines[#lines + 1] = control_line(id)
end
call('PUBLISH', 'tr/relay/' .. instance, table.concat(lines, '\n'))
return #lines - 1
