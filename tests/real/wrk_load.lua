-- Each request brings an event that nobody has brought before; what was answered is counted by status.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  prefix = args[1] .. "-" .. number .. "-"
  count, accepted, other = 0, 0, 0
  last = ""
end

function request()
  count = count + 1
  local id = prefix .. count
  local body = '{"ver":"1.0","id":"' .. id .. '","product":"ECS","level":"INFO",' ..
    '"name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030",' ..
    '"regionId":"cn-hangzhou","content":{"eniId":"eni-' .. count % 100 .. '","requestId":"' .. id ..
    '","operation":"AttachNetworkInterface","result":"success","eniStatus":"InUse"}}'
  return wrk.format("POST", "/v1/events", { ["content-type"] = "application/json" }, body)
end

function response(status, headers, body)
  if status == 200 and body:find('"status":"accepted"', 1, true) then
    accepted = accepted + 1
  else
    other = other + 1
    last = status .. " " .. body
  end
end

function done(summary, latency, requests)
  local accepted, other, last = 0, 0, ""
  for _, thread in ipairs(threads) do
    accepted = accepted + thread:get("accepted")
    other = other + thread:get("other")
    last = last .. thread:get("last")
  end
  local errors = summary.errors
  io.write(string.format("\nRESULT %d %d %d %d %s\n", accepted, other, errors.connect + errors.read +
    errors.write + errors.timeout, latency:percentile(99), last:gsub("\n", " ")))
end
