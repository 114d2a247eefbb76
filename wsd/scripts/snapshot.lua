-- Who is online, and the number of the presence event that this is the state of.
-- KEYS: tr:online tr:pseq
return {call('GET', 'tr:pseq') or '0', call('HGETALL', 'tr:online')}
