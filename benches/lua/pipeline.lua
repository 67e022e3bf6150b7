-- So many requests in one write on each connection: `-- 16`.
function init(arguments)
    local requests = {}
    for number = 1, tonumber(arguments[1]) do
        requests[number] = wrk.format("GET")
    end
    batch = table.concat(requests)
end

function request()
    return batch
end
