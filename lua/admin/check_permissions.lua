#!lua flags=no-writes
-- Finds calls that the ACL of Redis does not permit to the user of this connection.
--
-- Returns  refused  those of the calls that are not permitted

local calls = ARGV -- strings   a command and its key or channel each, separated by a blank

local refused = {}
for _, call in ipairs(calls) do
  local words = {}
  for word in string.gmatch(call, '%S+') do words[#words + 1] = word end
  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = call end
end
return refused
