-- Returns what takes the place of a message that is deleted: everything but its content.
local function make_tombstone(json, deleted_at)
  local head, envelope =
    string.match(json, '^({"seq":%d+,"from":"[^"]*",)("to":"[^"]*","id":"[^"]*","sent_at":"[^"]*",)')
  return head .. '"deleted_at":"' .. deleted_at .. '",' .. envelope .. '"body":""}'
end
