-- A subscription as it is stored: generation|state|settings.
--
-- generation  when it was created, see lib/reader
-- state       opening or closing while the groups of its feeds are created or removed, otherwise open
-- settings    JSON object, opaque to scripts

-- Returns the parts of a subscription; nil if there is none.
local function parse_subscription(stored)
  return string.match(stored or '', '^(%d+)|(%l+)|(.*)$')
end

-- Returns a subscription as it is stored.
local function format_subscription(generation, state, settings)
  return generation .. '|' .. state .. '|' .. settings
end
