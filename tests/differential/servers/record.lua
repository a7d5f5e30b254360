-- record - appends one request to the file of records: a line of sizes, and then the bytes that they are the sizes of
-- (servers.py reads it). Owns no file longer than a call.
local record = {}

-- `fields`: a list of { name, value }, in any order.
function record.write(path, method, target, body, fields)
	local parts = { method, target, body }
	for _, field in ipairs(fields) do
		table.insert(parts, field[1])
		table.insert(parts, field[2])
	end
	local sizes = {}
	for index, part in ipairs(parts) do
		sizes[index] = tostring(#part)
	end
	local file = assert(io.open(path, "ab"))
	file:write(table.concat(sizes, " "), "\n", table.concat(parts))
	file:close()
end

return record
