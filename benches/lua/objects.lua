-- One of so many objects at random: `-- 100000`.
function init(arguments)
    count = tonumber(arguments[1])
end

function request()
    return wrk.format("GET", "/o/" .. math.random(count))
end
