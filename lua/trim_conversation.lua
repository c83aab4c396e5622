#!lua
-- Drops messages that are older than they may be, from the oldest end and nowhere else. One that
-- was not read yet no longer counts.
--
-- Returns  dropped  messages that are gone
-- Changes  conversation.changed, if an unread one was among them
-- Given    state  read:<user> of the conversation

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread   = KEYS[2] -- hash    user -> messages not yet read
local keep     = ARGV[1] -- integer messages to keep at most; 0 for all
local since    = ARGV[2] -- string  time, RFC 3339, since when messages are kept; empty for ever
local most     = ARGV[3] -- integer messages to drop in one call, at most

local length = redis.call('LLEN', messages)
local dropped, counted = 0, false
while length > 0 and dropped < tonumber(most) do
  local message = redis.call('LINDEX', messages, -1)
  local seq, from, to, sent_at =
    string.match(message, '^{"seq":(%d+),"id":"[^"]*","from":"([^"]*)","to":"([^"]*)","sent_at":"([^"]*)"')
  local too_many = keep ~= '0' and length > tonumber(keep)
  -- Times of one form and one zone are in the order of their texts.
  if not too_many and not (since ~= '' and sent_at < since) then break end
  local read = tonumber(state['read:' .. to] or 0)
  local deleted = string.find(message, '^,"deleted_at":"[^"]*"}$', -41)
  redis.call('RPOP', messages)
  if tonumber(seq) > read and not deleted then
    counted = true
    if redis.call('HINCRBY', unread, to, -1) <= 0 then redis.call('HDEL', unread, to) end
  end
  length, dropped = length - 1, dropped + 1
end
return dropped, counted and {kind = 'conversation.changed', meta = {}} or nil
