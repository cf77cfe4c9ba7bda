"""
What the scripts of a ledger that change something are made of, in Lua.

Accounts are read once, and all is written at the end: what is worked out and then refused is forgotten.
Numbers are doubles, exact up to `MOST`. They are written by ``%.0f``: Lua, and its JSON, would round them to 14 digits.
"""

from __future__ import annotations

from typing import Final

#: What is asked, and when.
BEGIN: Final = """
local book, entries, order, expiring, tenants, waiting, events = unpack(KEYS)
local call, format, match, sub = redis.call, string.format, string.match, string.sub
local quoted, decode, null, concat = cjson.encode, cjson.decode, cjson.null, table.concat
local asked = decode(ARGV[1])
local now, tenant, keeps = asked[1], asked[2], asked[3]
if now == null then
    local time = call('TIME')
    now = time[1] * 1000000 + time[2]
end
local stamp = format('%.0f', now)
"""

#: Accounts, entries and events.
ROWS: Final = """
local max, min, fmod, MOST = math.max, math.min, math.fmod, 9007199254740991
local function plain(number) return format('%.0f', number) end
local function or_null(number) return number and plain(number) or 'null' end

-- An account is known by one name: the length of the meter's, the meter, the lot.
local function named(meter, lot) return #meter .. ':' .. meter .. lot end
local known, touched = {}, {}
local function account(name)
    local its = known[name]
    if not its then
        local used, held, opened, cap, over, folded =
            match(call('HGET', book, 'a' .. name) or '', '^(%S+) (%S+) (o?)(%S+) (%S+) (%S+)$')
        its = {
            used = tonumber(used or 0), held = tonumber(held or 0), opened = opened == 'o', cap = tonumber(cap or '-'),
            over = tonumber(over or '-'), folded = tonumber(folded or 0), is_new = not used,
        }
        known[name] = its
    end
    return its
end
-- An account is changed; since when it is over its cap comes of what it says.
local function put(name)
    local its = account(name)
    touched[name] = its
    its.over = its.cap and its.used > its.cap and (its.over or now) or nil
end
-- What is to be written, and what it changes of what is read: members that are gone, entries that are made.
local todo, gone, made = {}, {}, {}
local function later(...) todo[#todo + 1] = {...} end
local function kept(member) return not gone[member] and call('HGET', book, member) end
local function drop(member)
    gone[member] = true
    later('HDEL', book, member)
    later('ZREM', expiring, member)
end
local function entry(part, name) return made[part .. name] or call('HGET', entries, part .. name) end
local function write()
    local is_new = false
    for _, command in ipairs(todo) do call(unpack(command)) end
    todo = {}
    for name, its in pairs(touched) do
        is_new = is_new or its.is_new
        call('HSET', book, 'a' .. name, concat({
            plain(its.used), plain(its.held), (its.opened and 'o' or '') .. (its.cap and plain(its.cap) or '-'),
            its.over and plain(its.over) or '-', plain(its.folded),
        }, ' '))
    end
    if is_new then call('ZADD', tenants, 0, tenant) end
    touched = {}
end

-- Forget an operation, if all of its entries are from before an instant; what it had moved stays counted.
local function forget(name, before)
    local fields, found = {'0' .. name, '1' .. name, '2' .. name}, {}
    if call('HEXISTS', book, 'h' .. name) == 1 then return 0 end
    for _, text in ipairs(call('HMGET', entries, unpack(fields))) do
        if text then
            found[#found + 1] = decode(text)[3]
            if found[#found][1] >= before then return 0 end
        end
    end
    call('HDEL', entries, unpack(fields))
    for _, answer in ipairs(found) do
        for _, filled in ipairs(answer[2]) do
            for _, take in ipairs(filled[3]) do
                local its = account(named(take[1], take[2]))
                its.folded = its.folded + take[3]
                put(named(take[1], take[2]))
            end
        end
    end
    return #found
end
-- Look at the first entries of those that were made, so many of them. Of an operation of which something is later the
-- last entry will come.
local function prune(before, most)
    local pruned = 0
    for _ = 1, most do
        local at, name = match(call('LINDEX', order, 0) or '', '^(%-?%d+) %d(.*)$')
        if not at or tonumber(at) >= before then break end
        call('LPOP', order)
        pruned = pruned + forget(name, before)
    end
    return pruned
end
"""

#: Movements, and how they are written down: as `payaid_entitlements.core.metering.encoding` does.
MOVING: Final = """
local too_much
local entered = false
-- Move units, as a take says: meter, lot, used, held, cost. A line says a cap, unless the account has its own.
local function move(take, line)
    local name = named(take[1], take[2])
    local its = account(name)
    if line and not its.opened and line[3] ~= 'opened' then its.cap = line[3] ~= null and line[3] or nil end
    if not its.cap or its.used <= its.cap then its.over = nil end
    its.used, its.held = its.used + take[3], its.held + take[4]
    if its.used < -MOST or its.used + its.held > MOST then too_much = take end
    put(name)
end
local function take_text(take)
    return concat({
        '[', quoted(take[1]), ',', quoted(take[2]), ',', plain(take[3]), ',', plain(take[4]), ',', plain(take[5]), ']',
    })
end
local function balance_text(name)
    local its = account(name)
    return concat({
        '[', plain(its.used), ',', plain(its.held), ',', or_null(its.cap), ',', its.opened and 'true' or 'false', ',',
        or_null(its.over), ']',
    })
end
local function texts(list, text)
    local said = {}
    for number, each in ipairs(list) do said[number] = text(each) end
    return '[' .. concat(said, ',') .. ']'
end
local function balances_text(lines)
    return texts(lines, function(line) return balance_text(named(line[1], line[2])) end)
end
local function filled_text(feature, amount, overage, takes, balances, expires)
    return concat({
        '[', plain(amount), ',', plain(overage), ',', texts(takes, take_text), ',', balances or '[]', ',',
        or_null(expires), ',', quoted(feature), ']',
    })
end

-- Marks: meter and total.
local function totals(lines, marks)
    local by_meter, sums = {}, {}
    for _, line in ipairs(lines) do
        by_meter[line[1]] = (by_meter[line[1]] or 0) + account(named(line[1], line[2])).used
    end
    for number, mark in ipairs(marks) do sums[number] = by_meter[mark[1]] or 0 end
    return sums
end
local crossings = {}
local function cross(lines, marks, before)
    for number, used in ipairs(totals(lines, marks)) do
        local mark = marks[number]
        if before[number] < mark[2] and mark[2] <= used then crossings[#crossings + 1] = {mark[1], mark[2], used} end
    end
end
local function crossing_text(crossing)
    return concat({'[', quoted(crossing[1]), ',', plain(crossing[2]), ',', plain(crossing[3]), ']'})
end

-- What is answered of an act of which no entry is kept.
local function said_text(feature, amount, overage, balance, was_there, expires, slot)
    return concat({
        'said\\n[', stamp, ',', amount, ',', overage, ',', balance or 'null', ',', was_there and 'true' or 'false', ',',
        or_null(expires), ',', quoted(feature), ',', slot or 'null', ']',
    })
end
-- Why an act was refused: a word, and what it is about.
local function refusal(...) return 'refused\\n' .. quoted({...}) end

-- Write an act down, and tell of the marks that it reached. What nobody hears of for as long as operations are kept
-- is forgotten.
local function enter(name, part, kind, digest, filled)
    local answer = concat({'[', stamp, ',[', concat(filled, ','), '],', texts(crossings, crossing_text), ']'})
    local text = concat({'["', kind, '",', quoted(digest), ',', answer, ',', quoted(asked[4]), ']'})
    made[part .. name], entered = text, true
    later('HSET', entries, part .. name, text)
    later('RPUSH', order, concat({stamp, ' ', part, name}))
    for _, crossing in ipairs(crossings) do
        local id = format('%016.0f-%010.0f-%s', now, call('HINCRBY', events, '', 1), match(waiting, ':u:(%x+)}'))
        call('ZADD', waiting, 0, id)
        call('HSET', events, id, concat({
            '[', quoted(tenant), ',', quoted(name), ',', crossing_text(crossing), ',', stamp, ']',
        }))
        for _, old in ipairs(call('ZRANGE', waiting, 0, 3)) do
            if tonumber(sub(old, 1, 16)) < now - keeps then
                call('ZREM', waiting, old)
                call('HDEL', events, old)
            end
        end
    end
    return 'done\\n' .. text
end
"""
