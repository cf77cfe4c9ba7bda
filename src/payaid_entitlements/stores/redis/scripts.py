"""
What the server does as one, in Lua. Each script checks the layout, and none writes before all its questions are asked.

Numbers are kept as text: Lua's own are floats, exact up to 2^53. A member that begins with something is found between
it and the byte 255, which is in no text.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.stores.redis.clients import Script

_KEYS = """
local documents, rows, index, log, trail, known = unpack(KEYS)
local layout = redis.call('HGET', documents, 'layout')
"""

#: Where a tenant of this row is found.
_PLACES = """
local function places(tenant, text)
    local plan, modules = unpack(cjson.decode(text))
    local found = {'t' .. tenant}
    if plan ~= cjson.null then found[2] = 'p' .. #plan .. ':' .. plan .. tenant end
    for _, module in ipairs(modules) do found[#found + 1] = 'm' .. #module .. ':' .. module .. tenant end
    return found
end
"""

_CHECKED = (
    _KEYS
    + """
if layout ~= ARGV[1] then return {'layout', layout or ''} end
local function plain(number) return string.format('%.0f', number) end
local head = redis.call('HGET', documents, 'position')
if head ~= '0' and redis.call('EXISTS', index, log, trail, known) < 4 then return {'damaged'} end
"""
)

#: Make an empty store ready; says which layout is there, or that something is and its documents are not.
PREPARE: Final = Script(
    _KEYS
    + """
if layout then return {'layout', layout} end
if redis.call('EXISTS', unpack(KEYS)) > 0 then return {'damaged'} end
redis.call('HSET', documents, 'layout', ARGV[1], 'origin', ARGV[2], 'position', '0')
return {'layout', ARGV[1]}
"""
)

APPLY: Final = Script(
    _CHECKED
    + _PLACES
    + """
local field, expect, revision, content = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local id, operation, outcome, path = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local scope, tenant, row, erase = ARGV[10], ARGV[11], ARGV[12], ARGV[13] == '1'
local stays, personal, channel, message, mark = ARGV[14], ARGV[15], ARGV[16], ARGV[17], ARGV[18]
local beside, beside_expect = ARGV[19], ARGV[20]

if operation ~= '' then
    local first = redis.call('HGET', known, operation)
    if first then return {'known', first} end
end
-- The same write, sent again by a client that repeats what was not answered: it is done.
local done = redis.call('HGET', known, 'i' .. id)
if done then return {'applied', done} end
local held = redis.call('HGET', documents, field)
local found = held and string.match(held, '^(%d+)\\n') or '0'
if found ~= expect then
    local answer = {'conflict', found}
    for _, member in ipairs(redis.call('ZREVRANGEBYLEX', index, '(' .. path .. '\\255', '[' .. path, 'LIMIT', 0, 5)) do
        local position = plain(tonumber(string.sub(member, #path + 1)))
        answer[#answer + 1] = redis.call('HGET', trail, position)
    end
    return answer
end
if beside ~= '' then
    local other = string.match(redis.call('HGET', documents, beside) or '', '^(%d+)\\n') or '0'
    if other ~= beside_expect then return {'beside', other} end
end
local old = scope == 'tenant' and redis.call('HGET', rows, tenant) or false
-- The other keys too are of their kind, or nothing is written.
redis.call('ZCARD', index)
redis.call('HLEN', trail)
local owner = scope == 'tenant' and field or ''
local owned = 'o' .. #owner .. ':' .. owner
local function by_operation(which, position)
    local name = string.sub(which, #owned + 1)
    return 'q' .. #name .. ':' .. name .. string.format('%016.0f', tonumber(position))
end

local position = plain(tonumber(head) + 1)
-- The first thing that is written: where it fails nothing was.
local line = {'s', scope, 't', tenant, 'r', revision}
if mark ~= '0' then line[7], line[8] = 'g', mark end
local added = redis.pcall('XADD', log, position .. '-0', unpack(line))
if type(added) == 'table' and added.err then
    if string.find(added.err, 'XADD', 1, true) then return {'damaged'} end
    return added
end
redis.call('HSET', documents, field, revision .. '\\n' .. content, 'position', position)

local was = old and string.match(old, '^%d+\\n(.*)$')
if was and was ~= row then
    for _, place in ipairs(places(tenant, was)) do redis.call('ZREM', index, place) end
end
if row ~= '' then
    redis.call('HSET', rows, tenant, revision .. '\\n' .. row)
    if was ~= row then
        for _, place in ipairs(places(tenant, row)) do redis.call('ZADD', index, 0, place) end
    end
end
if erase then
    redis.call('HDEL', rows, tenant)
    for _, member in ipairs(redis.call('ZRANGEBYLEX', index, '[' .. path, '(' .. path .. '\\255')) do
        local at = plain(tonumber(string.sub(member, #path + 1)))
        local kept, its = string.match(redis.call('HGET', trail, at) or '', '^([^\\n]*)\\n[^\\n]*\\n(.*)$')
        if its and its ~= '' then
            redis.call('HDEL', known, its)
            redis.call('ZREM', index, by_operation(its, at))
        end
        if kept then redis.call('HSET', trail, at, kept .. '\\n\\n') end
    end
end

redis.call('ZADD', index, 0, path .. string.format('%016.0f', tonumber(position)))
redis.call('HSET', trail, position, stays .. '\\n' .. personal .. '\\n' .. operation)
redis.call('HSET', known, 'i' .. id, position)
if operation ~= '' then
    redis.call('HSET', known, operation, position .. outcome)
    redis.call('ZADD', index, 0, by_operation(operation, position))
end
redis.call('PUBLISH', channel, '[' .. position .. message)
return {'applied', position}
"""
)

#: Where the log ends and what is behind a position, and which server's log this is.
LOG: Final = Script(
    _CHECKED
    + """
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local answer = {'page', head, redis.call('HGET', documents, 'origin') .. server}
if ARGV[2] ~= '' then
    local from = plain(tonumber(ARGV[2]) + 1) .. '-0'
    for _, entry in ipairs(redis.call('XRANGE', log, from, '+', 'COUNT', ARGV[3])) do
        local has = entry[2]
        answer[#answer + 1] = {string.match(entry[1], '^(%d+)'), has[2], has[4], has[6], has[8] or '0'}
    end
end
return answer
"""
)

#: Rows of those whose members begin with something, some of them at once; those who hold another plan are left out.
FIND: Final = Script(
    _CHECKED
    + """
local path, after, count, plan = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local from = after == '' and '[' .. path or '(' .. path .. string.sub(after, 2)
local answer = {'rows'}
local seen = redis.call('ZRANGEBYLEX', index, from, '(' .. path .. '\\255', 'LIMIT', 0, count)
for _, member in ipairs(seen) do
    local tenant = string.sub(member, #path + 1)
    local row = redis.call('HGET', rows, tenant)
    if not row then return {'damaged'} end
    local begin = string.find(row, '\\n', 1, true) + 1
    if plan == '' or string.sub(row, begin, begin + #plan - 1) == plan then
        answer[#answer + 1] = {tenant, row}
    end
end
table.insert(answer, 2, seen[tonumber(count)] and string.sub(seen[#seen], #path + 1) or false)
return answer
"""
)

#: Entries of the trail behind a position, some at once: the one of a field of `known`, those of a path, or all.
TRAIL: Final = Script(
    _CHECKED
    + """
local path, field, after, count = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local places, more = {}, false
if field ~= '' then
    local place = string.match(redis.call('HGET', known, field) or '', '^%d+')
    if place and tonumber(place) > after then places[1] = place end
elseif path ~= '' then
    local from = '(' .. path .. string.format('%016.0f', after)
    local seen = redis.call('ZRANGEBYLEX', index, from, '(' .. path .. '\\255', 'LIMIT', 0, count)
    for number, member in ipairs(seen) do places[number] = plain(tonumber(string.sub(member, #path + 1))) end
    more = #seen == count
else
    local from = plain(after + 1) .. '-0'
    for number, entry in ipairs(redis.call('XRANGE', log, from, '+', 'COUNT', count)) do
        places[number] = string.match(entry[1], '^(%d+)')
    end
    more = #places == count
end
local answer = {'trail', more and 1 or 0}
for _, place in ipairs(places) do
    answer[#answer + 1] = {place, redis.call('HGET', trail, place)}
end
return answer
"""
)

#: Rows of tenants; who has none, and is listed all the same, has lost it.
LISTED: Final = Script(
    _CHECKED
    + """
local answer = {'rows'}
for number = 2, #ARGV do
    local row = redis.call('HGET', rows, ARGV[number])
    if row then
        answer[#answer + 1] = {ARGV[number], row}
    elseif redis.call('ZSCORE', index, 't' .. ARGV[number]) then
        return {'damaged'}
    end
end
return answer
"""
)

# -- filling a store with all that another one had: see `restoring` -------------------------------------------------

#: Begin, where nothing is, or where another filling has left something.
BEGIN_FILLING: Final = Script(
    _KEYS
    + """
if not redis.call('HGET', documents, 'filling') then
    if layout ~= ARGV[1] then return {'layout', layout or ''} end
    if redis.call('HGET', documents, 'position') ~= '0' then return {'used'} end
end
redis.call('DEL', unpack(KEYS))
redis.call('HSET', documents, 'layout', ARGV[2], 'filling', ARGV[3], 'origin', ARGV[3], 'position', '0')
return {'begun'}
"""
)

_FILLING = """
local function is_ours(token) return redis.call('HGET', documents, 'filling') == token end
"""

#: Store some parts. Repeating it is harmless.
FILL: Final = Script(
    _KEYS
    + _PLACES
    + _FILLING
    + """
if not is_ours(ARGV[1]) then return {'another'} end
local at = 2
local function words(count)
    at = at + count
    return unpack(ARGV, at - count, at - 1)
end
local store = {}
function store.change()
    local position, scope, mark, tenant, revision, path, stays, personal, id, operation, outcome, by = words(12)
    if redis.call('HEXISTS', trail, position) == 1 then return end
    local place = string.format('%016.0f', tonumber(position))
    local line = {'s', scope, 't', tenant, 'r', revision}
    if mark ~= '0' then line[7], line[8] = 'g', mark end
    redis.call('XADD', log, position .. '-0', unpack(line))
    redis.call('HSET', trail, position, stays .. '\\n' .. personal .. '\\n' .. operation)
    redis.call('HSET', known, 'i' .. id, position)
    redis.call('ZADD', index, 0, path .. place)
    if operation ~= '' then
        redis.call('HSET', known, operation, outcome)
        redis.call('ZADD', index, 0, by .. place)
    end
end
function store.tenant()
    local tenant, field, content, row = words(4)
    local old = redis.call('HGET', rows, tenant)
    if old then
        for _, place in ipairs(places(tenant, string.match(old, '^%d+\\n(.*)$'))) do
            redis.call('ZREM', index, place)
        end
        redis.call('HDEL', rows, tenant)
    end
    redis.call('HSET', documents, field, content)
    if row ~= '' then
        redis.call('HSET', rows, tenant, row)
        for _, place in ipairs(places(tenant, string.match(row, '^%d+\\n(.*)$'))) do
            redis.call('ZADD', index, 0, place)
        end
    end
end
function store.one()
    redis.call('HSET', documents, words(2))
end
while ARGV[at] do
    at = at + 1
    store[ARGV[at - 1]]()
end
return {'filled'}
"""
)

#: All of it is there.
END_FILLING: Final = Script(
    _KEYS
    + _FILLING
    + """
if not is_ours(ARGV[2]) then return {'another'} end
redis.call('HSET', documents, 'position', ARGV[3], 'layout', ARGV[1])
redis.call('HDEL', documents, 'filling')
return {'filled'}
"""
)

#: Nothing is to be there after all.
STOP_FILLING: Final = Script(
    _KEYS
    + _FILLING
    + """
if not is_ours(ARGV[2]) then return {'another'} end
redis.call('DEL', unpack(KEYS))
redis.call('HSET', documents, 'layout', ARGV[1], 'origin', ARGV[2], 'position', '0')
return {'filled'}
"""
)

# -- tallies: the one key is that of a name --------------------------------------------------------------------------

#: Add amounts, each behind its field.
ADD_TALLIES: Final = Script(
    """
for number = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[number], ARGV[number + 1]) end
return {'added'}
"""
)

#: All fields, each before its amount.
TALLIES: Final = Script("return redis.call('HGETALL', KEYS[1])")
