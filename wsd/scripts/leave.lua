-- This relay ends: its lease goes at once, and with it the robots that it has not detached.
-- KEYS: tr:relays tr:online tr:devices tr:pseq tr:owned:INST tr:ctl:* tr:cmds:*
-- Returns 1 when it had a lease, else 0.
return clear(instance)
