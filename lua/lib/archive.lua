-- The archive of a conversation: older messages, in segments outside of Redis. The list of messages begins where they
-- end. An object of a segment never changes; a changed segment is another object. Fields of the meta hash:
--   archive      first|last|from|sent_at
--   segment:<n>  low|high|sent_at|object|authors
--
-- first, last  numbers of the oldest and of the newest segment
-- from         seq of the oldest message that is kept, because the retention drops messages before; 0 if none is
-- sent_at      when the oldest message was sent, that of the segment or `from`; empty if it is not known
-- low, high    seqs of the oldest and of the newest message
-- object       what distinguishes the object, see src/archive/location.rs
-- authors      who wrote each message: two bits for each, four in a byte, the oldest in the lowest; empty in a room

local ARCHIVE_FIELD, SEGMENT_FIELD = 'archive', 'segment:'
local ARCHIVE = '^(%d+)|(%d+)|(%d+)|(.*)$'
local SEGMENT = '^(%d+)|(%d+)|([^|]*)|(%x+)|(.*)$'

-- The authors of messages: nobody if it was deleted, else one of the two users of the pair.
local BY_NOBODY, BY_FIRST, BY_SECOND = 0, 1, 2

-- Loads the archive of a conversation of two users, or of a room, which has `messages`, `meta` and `seq`. Sets
-- `hot_from`, the seq of the oldest message of the list, and `archive`, false if nothing is kept there.
--
-- length  of the list, if it is known
local function archive_of(conversation, length)
  if conversation.archive == nil then
    length = length or redis.call('LLEN', conversation.messages)
    conversation.hot_from = conversation.seq - length + 1
    local stored = conversation.hot_from > 1 and redis.call('HGET', conversation.meta, ARCHIVE_FIELD)
    local first, last, from, sent_at = string.match(stored or '', ARCHIVE)
    conversation.archive = first and from ~= '0' and {
      first = tonumber(first), last = tonumber(last), from = tonumber(from), sent_at = sent_at, dropped = 0,
    } or false
  end
  return conversation.archive
end

-- Returns the seq of the oldest message that is kept, wherever it is.
local function oldest_kept(conversation)
  local archive = archive_of(conversation)
  return archive and archive.from or conversation.hot_from
end

-- Returns the segment with a number; nil if there is none.
local function load_segment(conversation, number)
  local stored = redis.call('HGET', conversation.meta, SEGMENT_FIELD .. number)
  if not stored then return end
  local low, high, sent_at, object, authors = string.match(stored, SEGMENT)
  return {
    number = number, low = tonumber(low), high = tonumber(high), sent_at = sent_at, object = object, authors = authors,
  }
end

-- Returns a segment as it is stored.
local function format_segment(segment)
  return string.format('%d|%d|%s|%s|', segment.low, segment.high, segment.sent_at, segment.object) .. segment.authors
end

-- Returns the segment that has the message of a seq; nil if it is not kept in the archive.
local function segment_at(conversation, seq)
  local archive = archive_of(conversation)
  if not archive or seq < archive.from or seq >= conversation.hot_from then return end
  local first, last = archive.first, archive.last
  while first <= last do
    local segment = load_segment(conversation, math.floor((first + last) / 2))
    if seq < segment.low then
      last = segment.number - 1
    elseif seq > segment.high then
      first = segment.number + 1
    else
      return segment
    end
  end
end

-- Returns who wrote a message of a segment.
local function author_in(segment, seq)
  local index = seq - segment.low
  return math.floor(string.byte(segment.authors, math.floor(index / 4) + 1) / 4 ^ (index % 4)) % 4
end

-- Returns which author a user of the conversation is.
local function author_of(conversation, user)
  return (user == conversation.user.id) == conversation.is_first and BY_FIRST or BY_SECOND
end

-- Counts the messages of an author from one seq to a later one, all of which are in the archive.
local function count_in_archive(conversation, author, low, high)
  local count = 0
  while low <= high do
    local segment = segment_at(conversation, low)
    for seq = low, math.min(high, segment.high) do
      if author_in(segment, seq) == author then count = count + 1 end
    end
    low = segment.high + 1
  end
  return count
end

-- Reads what the caller of a script has of the archive, which an earlier call asked for: nothing, or
-- folder|grace_ms|object|new_object|due|text. The text of a message is that of `object`; `new_object` has its
-- replacement, and is noted as garbage with the time `due`.
--
-- garbage  objects of the partition to delete
local function parse_held(held, garbage)
  local folder, grace_ms, object, new_object, due, text =
    string.match(held or '', '^(%x+)|(%d+)|(%x+)|(%x*)|(%d*)|(.*)$')
  return {
    folder = folder, grace_ms = grace_ms, object = object, new_object = new_object, due = due, text = text,
    garbage = garbage,
  }
end

-- Returns the message of a seq as it is stored, nil if there is none. If it is in the archive, `segment` of the
-- conversation becomes its segment. Then, unless the caller has it, returns nil and what the script has to return, so
-- that the caller reads it and calls again: [seq, low, high, object], the last three of the segment.
local function stored_message(conversation, seq, held)
  local index = conversation.seq - seq
  if index < 0 then return end
  local message = redis.call('LINDEX', conversation.messages, index)
  if message then return message end
  local segment = segment_at(conversation, tonumber(seq))
  if not segment then return end
  conversation.segment = segment
  if held.object == segment.object then return held.text end
  return nil, {tonumber(seq), segment.low, segment.high, segment.object}
end
