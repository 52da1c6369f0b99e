-- Orthanc sends each new ultrasound instance to heart2heart; reports that come back are no ultrasound, so nothing loops.
function OnStoredInstance(instanceId, tags, metadata, origin)
  if tags['Modality'] == 'US' and origin['RequestOrigin'] ~= 'Lua' then
    SendToModality(instanceId, 'heart2heart')
  end
end
