#!lua
-- Replaces a message by another text of it, if it still is what the other was made from. So the
-- text is made by whom can read JSON exactly, and the decision still falls here.
--
-- Returns  message  JSON
-- Changes  message.updated
-- Given    state  seq of the conversation
-- Errors   MESSAGE_CHANGED  somebody else changed it meanwhile

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local seq      = ARGV[1] -- integer which one
local old      = ARGV[2] -- string  the message as it was read
local new      = ARGV[3] -- string  the message as it is to be

local index = tonumber(state.seq or 0) - seq
if index < 0 or redis.call('LINDEX', messages, index) ~= old then
  return redis.error_reply('MESSAGE_CHANGED the message was changed meanwhile')
end
if old == new then return new end
redis.call('LSET', messages, index, new)
return new, {kind = 'message.updated', meta = {}, message = new}
