-- A request waits for people (Suspended), has done what was wished (Healthy), or did not come to it (Degraded). Its state is the reason
-- of its condition Active.
local hs = {status = "Progressing", message = "the controller has not looked at it yet"}
if obj.status == nil or obj.status.conditions == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local health = {
  Held = "Degraded", Declined = "Degraded", Denied = "Degraded", TimedOut = "Degraded",
  Pending = "Suspended", Scheduled = "Suspended",
  Active = "Healthy", Expired = "Healthy", Revoked = "Healthy", Ended = "Healthy", Withdrawn = "Healthy",
}
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Active" then
    -- A state that is younger than this script.
    hs.status = health[condition.reason] or "Unknown"
    hs.message = condition.reason .. ": " .. condition.message
  end
end
return hs
