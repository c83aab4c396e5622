#!lua
-- Notes that a user's devices have received a conversation up to a message. Only moves forward,
-- and never past the end.
--
-- Returns  nil  the answer is the state of the conversation
-- Changes  conversation.delivered
-- Given    state  seq, delivered:<user> of the conversation

local user = ARGV[1] -- string  user id
local seq  = ARGV[2] -- integer up to here

local target = math.min(tonumber(seq), tonumber(state.seq or 0))
if target <= tonumber(state['delivered:' .. user] or 0) then return nil end
return nil, {kind = 'conversation.delivered', meta = {'delivered:' .. user, string.format('%.0f', target)}}
