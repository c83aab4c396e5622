#!lua
--- @include "lib/archive_change"
--- @include "lib/commit"
-- Replaces a segment of a conversation by one in which the user's messages are tombstones and others have no reactions of
-- the user. Messages that the peer had not read no longer count.
--
-- Returns  done  1; 0 if the segment or its object is another one, and nothing was done
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
local schedule           = KEYS[10] -- zset    schedule of the partition, see lib/schedule
local garbage            = KEYS[11] -- zset    objects of the partition to delete -> when, in ms
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local held               = ARGV[4]  -- string  what the caller has of the archive, see lib/archive; without a text
local high               = ARGV[5]  -- integer seq of the newest message of the segment
local last               = ARGV[6]  -- integer seq of the newest message of the user to erase
-- Then the entries of the schedule of the messages that become tombstones
local entries            = {unpack(ARGV, 7)}

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local archived, segment = parse_held(held, garbage), segment_at(conversation, tonumber(high))
if not segment or segment.object ~= archived.object then return commit(conversation, nil, nil, 0) end
conversation.segment = segment
if missing_object(conversation, high, '', archived) then return commit(conversation, nil, nil, 0) end

local author, reader = author_of(conversation, user), conversation.peer
local read, kept_from = tonumber(reader.read), conversation.archive.from
for seq = segment.low, math.min(segment.high, tonumber(last)) do
  if author_in(segment, seq) == author then
    forget_author(segment, seq)
    if seq > read and seq >= kept_from and reader.unread ~= '0' then
      reader.unread = string.format('%d', reader.unread - 1)
    end
  end
end
swap_object(conversation, segment, archived)
if #entries > 0 then redis.call('ZREM', schedule, unpack(entries)) end
return commit(conversation, {kind = 'conversation.changed', message = ''}, nil, 1)
