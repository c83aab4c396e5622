#!lua
-- Sets or takes away a flag that a user puts on a conversation: blocked or muted.
--
-- Returns  nil  the answer is the state of the conversation
-- Changes  conversation.changed
-- Given    state  blocked:<user>, muted:<user> of the conversation

local meta = KEYS[3] -- hash    blocked:<user>, muted:<user>: 1 if set
local user = ARGV[1] -- string  user id
local flag = ARGV[2] -- string  blocked or muted
local on   = ARGV[3] -- flag    1 sets it

local field = flag .. ':' .. user
if (state[field] ~= nil) == (on == '1') then return nil end
if on ~= '1' then
  redis.call('HDEL', meta, field)
  state[field] = nil
end
return nil, {kind = 'conversation.changed', meta = on == '1' and {field, '1'} or {}, only = user}
