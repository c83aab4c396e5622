-- Events of a room as those who watch it receive them.

-- Returns an event of a room as JSON.
--
-- room     name of the room
-- cursor   position in the events of the room; prev is that of the event before
-- user     whom the event is about; empty if it is about nobody in particular
-- message  JSON of the message that changed; empty if none did
local function format_room_event(room, kind, cursor, prev, user, message)
  return '{"type":"' .. kind .. '","room":"' .. string.sub(room, #'room:' + 1) .. '","cursor":"' .. cursor
    .. '","prev":"' .. prev .. '"' .. (user == '' and '' or ',"user":"' .. user .. '"')
    .. (message == '' and '' or ',"message":' .. message) .. '}'
end
