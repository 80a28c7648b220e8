-- An endpoint that is switched off, locked or has not joined yet is no fault of what lies in Git, and a sync must not wait for it: Healthy,
-- with a message. Only an agent that refuses what it is sent is Degraded.
local hs = {status = "Progressing", message = "the controller has not looked at it yet"}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
if obj.status.rejected ~= nil then
  hs.status = "Degraded"
  hs.message = "the agent refuses what it was sent (" .. obj.status.rejected.code .. "): " .. (obj.status.rejected.message or "")
  return hs
end
hs.status = "Healthy"
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Enrolled" then
    hs.message = condition.message
  end
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Locked" and condition.status == "True" then
    hs.message = condition.message
  end
end
return hs
