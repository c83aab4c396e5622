#!lua
--- @include "lib/commit"
--- @include "lib/receipt"
--- @include "lib/sent_since"
-- Appends messages from elsewhere to a conversation, oldest first; both have read everything then. What an earlier
-- attempt at the same import appended already is found and left out, so an import that broke off is
-- simply sent again.
--
-- Returns  imported  how many were appended
-- Changes  conversation.changed
-- Errors   IMPORT_CONFLICT  what is there is not what was imported before

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local unread             = KEYS[2]  -- hash    user -> messages not yet read
local meta               = KEYS[3]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[4]  -- zset    peer -> version of its newest message
local user_conversations = KEYS[5]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[6]  -- list    the user's last events, and the channel of that name
local peer_inbox         = KEYS[7]  -- zset    the same of the peer
local peer_conversations = KEYS[8]  -- hash    the same of the peer
local peer_events        = KEYS[9]  -- list    the same of the peer
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the other one
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local sent_us            = ARGV[4]  -- integer when the last one was sent, in microseconds since 1970
-- then for each message its id, its time and its JSON from the second member on
local items              = {unpack(ARGV, 5)}

local conversation = load_conversation(messages, unread, meta, user, user_inbox, user_conversations, user_events,
  peer, peer_inbox, peer_conversations, peer_events, retention)
local newest = tonumber(conversation.seq)
local function stored(seq) return string.match(redis.call('LINDEX', messages, newest - seq), MESSAGE_ENVELOPE) end
local function conflict(why) return redis.error_reply('IMPORT_CONFLICT ' .. why) end

-- Where the first of them stands, if it does.
local id, time = items[1], items[2]
local from = first_sent_since(messages, time, newest, newest - redis.call('LLEN', messages) + 1)
while from <= newest do
  local stored_id, sent_at = stored(from)
  if stored_id == id then break end
  if sent_at ~= time then return conflict('a message is older than those that are there, and not one of them') end
  from = from + 1
end

local start = 1
while start < #items and from <= newest do
  if stored(from) ~= items[start] then
    return conflict('the messages that are there are not those that were imported before')
  end
  start, from = start + 3, from + 1
end
if start > #items then return 0 end
if conversation.seq ~= conversation.imported then return conflict('messages were sent here since') end

local appended = {}
for i = start, #items, 3 do
  appended[#appended + 1] = string.format('{"seq":%d,', newest + #appended + 1) .. items[i + 2]
end
redis.call('LPUSH', messages, unpack(appended))
conversation.seq = string.format('%d', newest + #appended)
conversation.imported = conversation.seq
read_everything(conversation.user, conversation.seq)
read_everything(conversation.peer, conversation.seq)
tell_read(conversation.user, conversation.peer, conversation.seq)
tell_read(conversation.peer, conversation.user, conversation.seq)
local change = {kind = 'conversation.changed', message = '', active = sent_us, marks = 'both'}
return commit(conversation, change, nil, #appended)
