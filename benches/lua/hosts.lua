-- One of so many names at random in every request's Host: `-- 1000`.
function init(arguments)
    requests, count = {}, tonumber(arguments[1])
    for number = 1, count do
        requests[number] = wrk.format("GET", "/", { Host = "site" .. number .. ".example" })
    end
end

function request()
    return requests[math.random(count)]
end
