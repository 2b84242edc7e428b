-- A slow service: wait as many milliseconds as the fault says. HAProxy has no wait of its own that reads a map.
core.register_action("delay", { "http-req" }, function(txn)
  local milliseconds = tonumber(txn:get_var("txn.fault"):match("([^:]*)$"))
  core.msleep(milliseconds)
end)
