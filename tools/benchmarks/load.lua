-- What wrk sends: one list, or adoptions that each name another snapshot; the
-- result is a line "answered as wanted, answered otherwise, microseconds".
--
--   wrk ... -s load.lua URL -- STATUS [HEADER=VALUE]... [adopt NAME VOLUME...]

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    wanted, good, bad, sent = tonumber(args[1]), 0, 0, 0
    local place = 2
    while args[place] and args[place] ~= 'adopt' do
        local name, value = args[place]:match('^([^=]+)=(.*)$')
        wrk.headers[name] = value
        place = place + 1
    end
    if args[place] then
        prefix, volumes = args[place + 1], {}
        table.move(args, place + 2, #args, 1, volumes)
        request = adopt
    end
end

function adopt()
    sent = sent + 1
    return wrk.format('POST', nil, nil, string.format(
        '{"snapshot": {"volume_id": "%s", "ref": {"source-name": "%s-%d"}}}',
        volumes[sent % #volumes + 1], prefix, sent))
end

function response(status)
    if status == wanted then
        good = good + 1
    else
        bad = bad + 1
    end
end

function done(summary)
    local good, bad = 0, 0
    for _, thread in ipairs(threads) do
        good = good + thread:get('good')
        bad = bad + thread:get('bad')
    end
    print(string.format('counted %d %d %d', good, bad, summary.duration))
end
