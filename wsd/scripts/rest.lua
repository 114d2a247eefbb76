-- This relay had lost Redis: zeros of its websites may have been lost with it. Who still drives says so at once.
-- KEYS: tr:online tr:ctl:* tr:cmds:*
-- Returns nothing.
rest_all(instance)
