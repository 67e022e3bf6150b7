-- Every object once, in turn, then a report in wrk's own words and the end: `-- 100000`.
function init(arguments)
    -- wrk asks for one request before the first it sends.
    count, asked, answered, bad = tonumber(arguments[1]), -1, 0, 0
end

function request()
    asked = asked + 1
    -- A little further than the last one, so that no answer to it is left out.
    return wrk.format("GET", "/o/" .. math.max(1, math.min(asked, count)))
end

function response(status)
    answered = answered + 1
    if status ~= 200 then
        bad = bad + 1
    end
    if answered == count + 64 then
        print(answered .. " requests in all")
        print("Non-2xx or 3xx responses: " .. bad)
        os.exit(0)
    end
end
