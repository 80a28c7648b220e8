-- JitPolicy, Fleet and Lock say with their condition Ready whether they are in order. Suspended, closed and without an endpoint is in order.
local hs = {status = "Progressing", message = "the controller has not looked at it yet"}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local stalled = false
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    hs.message = condition.message
    if condition.status == "True" then
      hs.status = "Healthy"
    end
  elseif condition.type == "Stalled" and condition.status == "True" then
    stalled = true
  end
end
if stalled then
  hs.status = "Degraded"
end
return hs
