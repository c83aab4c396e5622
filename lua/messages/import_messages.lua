#!lua
--- @include "lib/archive"
--- @include "lib/commit"
--- @include "lib/message"
--- @include "lib/receipt"
--- @include "lib/schedule"
-- Appends imported messages to a conversation, as read by both users. Messages that an earlier attempt
-- appended are skipped, even if they were dropped since, so an interrupted import can be repeated. If one
-- message cannot be appended, none is.
--
-- Returns  [appended, reason, culprit, unstored]  number of messages appended; if some could not be, the
--          code and the reason, the number of the message that caused it (0 if no single one did), and the
--          numbers of the messages that are not stored. [low, high, object] of a segment that the caller has to read
--          first, if messages of an export are compared with it
-- Changes  conversation.changed

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local feed               = KEYS[9]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local imported           = KEYS[10] -- hash    digest of the id of each imported message -> digest of the message
local schedule           = KEYS[11] -- zset    schedule of the partition, see lib/schedule
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local known_s            = ARGV[4]  -- integer seconds for which imported messages are recognized
-- then for each message the digest of its id, its own, its seq in an export or empty, the seq of the
-- message it answers or empty, when it was sent in microseconds since 1970, when it expires in milliseconds since
-- 1970 or empty, its JSON from the second member on, and what the caller has read of the archive at its seq or empty
local items              = {unpack(ARGV, 5)}

-- Number of arguments of a message.
local ITEM = 8

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local newest, unread_segment = tonumber(conversation.seq), nil

-- Whether a message of an export is at its seq, or was there until it was dropped; nil if another message is.
local function stands(place, json, archived)
  if place > newest then return false end
  local message = redis.call('LINDEX', messages, newest - place) or archived ~= '' and archived
  if not message then unread_segment = unread_segment or segment_at(conversation, place) end
  if not message or string.match(message, MESSAGE_ENVELOPE) == string.match(json, MESSAGE_ENVELOPE) then return true end
end

local ids, new, reason, culprit = {}, {}, nil, 0
for i = 1, #items, ITEM do ids[#ids + 1] = items[i] end
local known = redis.call('HMGET', imported, unpack(ids))
for number = 1, #ids do
  local at = ITEM * (number - 1) + 1
  local place = tonumber(items[at + 2])
  local stood = known[number] == items[at + 1]
    or not known[number] and place and stands(place, items[at + 6], items[at + 7])
  if not stood then new[#new + 1] = number end
  if not reason and known[number] and not stood then
    reason, culprit = 'IMPORT_CONFLICT A message with the same id and other content was imported before.', number
  elseif not reason and place and stood == nil then
    reason, culprit = 'IMPORT_CONFLICT Another message has this seq.', number
  end
end
if unread_segment then
  return unchanged(conversation, {unread_segment.low, unread_segment.high, unread_segment.object})
end
if #new == 0 then return unchanged(conversation, {0, '', 0, {}}) end

if conversation.seq ~= conversation.imported then
  reason = reason or 'IMPORT_CONFLICT Messages were sent in this conversation, so none can be imported before them.'
elseif newest > 0 and redis.call('EXISTS', imported) == 0 then
  reason = reason or 'IMPORT_CONFLICT The last import is too long ago to recognize its messages.'
end
-- An empty conversation begins with the first seq of the export.
local last = newest == 0 and tonumber(items[ITEM * (new[1] - 1) + 3]) or newest + 1
last = last - 1
local appended, digests, expiring, active = {}, {}, {}, tonumber(conversation.version) - tonumber(conversation.age)
for _, number in ipairs(new) do
  local at = ITEM * (number - 1) + 1
  local next_seq, place, reply_to = last + #appended + 1, tonumber(items[at + 2]), tonumber(items[at + 3])
  if not reason and place and place ~= next_seq then
    reason, culprit = 'IMPORT_CONFLICT The seq is not the next one of the conversation.', number
  elseif not reason and reply_to and (reply_to < 1 or reply_to >= next_seq) then
    reason, culprit = 'REPLY_TO_NOT_FOUND There is no such message before this one.', number
  end
  appended[#appended + 1] = string.format('{"seq":%d,', next_seq) .. items[at + 6]
  digests[#digests + 1], digests[#digests + 2] = items[at], items[at + 1]
  active = math.max(active, tonumber(items[at + 4]))
  local message = appended[#appended]
  local seq, from = string.match(message, MESSAGE_HEAD)
  local author = from == user and conversation.user or conversation.peer
  author.writes = true
  if items[at + 5] ~= '' then
    local to = from == user and peer or user
    expiring[#expiring + 1] = items[at + 5]
    expiring[#expiring + 1] = message_entry(from, to, seq, (string.match(message, MESSAGE_ENVELOPE)))
  end
end
if reason then return unchanged(conversation, {0, reason, culprit, new}) end

redis.call('LPUSH', messages, unpack(appended))
redis.call('HSET', imported, unpack(digests))
redis.call('EXPIRE', imported, known_s)
if #expiring > 0 then redis.call('ZADD', schedule, unpack(expiring)) end
conversation.seq = string.format('%d', last + #appended)
conversation.imported = conversation.seq
read_everything(conversation.user, conversation.seq)
read_everything(conversation.peer, conversation.seq)
tell_read(conversation.user, conversation.peer, conversation.seq)
tell_read(conversation.peer, conversation.user, conversation.seq)
local change = {kind = 'conversation.changed', message = '', active = string.format('%d', active), marks = 'both'}
return commit(conversation, change, nil, {#appended, '', 0, {}})
