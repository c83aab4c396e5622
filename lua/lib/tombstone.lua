-- Returns what takes the place of a message that is deleted: everything but its content, which begins
-- with "body". In a text before it quotes are escaped, so the first that is not is that of the member.
local function make_tombstone(json, deleted_at)
  local head, envelope =
    string.match(json, '^({"seq":%d+,"from":"[^"]*",)(.-)"body":"')
  return head .. '"deleted_at":"' .. deleted_at .. '",' .. envelope .. '"body":""}'
end
