-- Events as devices receive them.

-- Returns an event of a conversation as JSON.
--
-- kind     type of the event
-- cursor   position in the stream of the user; prev is that of the event before
-- entry    entry of the user's row, see lib/row
-- message  JSON of the message that changed; empty if none did
local function format_event(kind, cursor, prev, peer, entry, total, unread_conversations, muted_unread, message)
  local unread, last_seq, read_seq, peer_read_seq, peer_delivered_seq =
    string.match(entry, '^(%d+)|%d+|(%d+)|(%d+)|(%d+)|(%d+)')
  return '{"type":"' .. kind .. '","cursor":"' .. cursor .. '","prev":"' .. prev .. '","peer":"' .. peer
    .. '","unread_count":' .. unread .. ',"last_seq":' .. last_seq .. ',"read_seq":' .. read_seq
    .. ',"peer_read_seq":' .. peer_read_seq .. ',"peer_delivered_seq":' .. peer_delivered_seq
    .. ',"total_unread_count":' .. total .. ',"unread_conversations":' .. unread_conversations
    .. ',"muted_unread_count":' .. muted_unread
    .. (message == '' and '' or ',"message":' .. message) .. '}'
end
