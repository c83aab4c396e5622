-- Clears a conversation for one user: what stands in it is neither shown nor counted to them again.
-- Without a shebang and with HDEL first, like read_conversation, for when memory is full.
--
-- Returns  nil  the answer is the state of the conversation
-- Changes  conversation.changed
-- Given    state  seq, floor:<user> of the conversation

local unread = KEYS[2] -- hash    user -> messages not yet read
local user   = ARGV[1] -- string  user id

local newest = state.seq or '0'
if tonumber(newest) <= tonumber(state['floor:' .. user] or 0) then return nil end
redis.call('HDEL', unread, user)
return nil, {kind = 'conversation.changed', meta = {'read:' .. user, newest, 'floor:' .. user, newest}}
