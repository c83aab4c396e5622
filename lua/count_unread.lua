#!lua flags=no-writes
-- Tells how much a user has not read, over all conversations.
--
-- Returns  [total, unread_conversations]  messages, and conversations that have some

local conversations = KEYS[1] -- hash    totals: useq|epoch|total|unread conversations|listening; a row a conversation

local totals = redis.call('HGET', conversations, 'totals') or '0|0|0|0|0'
local total, with_unread = string.match(totals, '^%d+|%d+|(%d+)|(%d+)|')
return {tonumber(total), tonumber(with_unread)}
