-- Returns the reply as it is, or, if somebody was charged, [tokens left, milliseconds until the bucket
-- is full, reply].
local function with_charge(charge, reply)
  if not charge then return reply end
  return {charge[1], charge[2], reply}
end
