-- haproxy - HAProxy's service that records a request and answers it with an empty 200.
local record = require "record"
local path = os.getenv("RECORDS")

core.register_service("record", "http", function(applet)
	local body = applet:receive() or ""
	local fields = {}
	for name, values in pairs(applet.headers) do
		for _, value in pairs(values) do
			table.insert(fields, { name, value })
		end
	end
	record.write(path, applet.method, applet:get_var("txn.target") or "", body, fields)
	applet:set_status(200)
	applet:add_header("content-length", "0")
	applet:start_response()
end)
