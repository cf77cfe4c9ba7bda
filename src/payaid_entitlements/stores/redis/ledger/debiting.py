"""
Postings that use units up or set them aside, and what becomes of holds, in Lua: as `payaid_entitlements.core.metering`
has it in `spreading`, `debiting` and `closing`.

A debit is ``feature, amount, lines, sink, beyond, grace, short, marks``, a line ``meter, lot, cap, cost``. A hold is
kept as ``since, expires, amount, debit, takes``.
"""

from __future__ import annotations

from typing import Final

#: How far a debit goes.
SPREADING: Final = """
local function parts(number, size) return (number - fmod(number, size)) / size end
-- How many times a size is in what a number is more than another, which may be below zero. The difference may be too
-- much to be exact, so each is divided by itself.
local function whole(number, less, size)
    if number <= less then return 0 end
    local rest = fmod(-less, size)
    if rest < 0 then rest = rest + size end
    return parts(number, size) + (-less - rest) / size + (fmod(number, size) >= size - rest and 1 or 0)
end
local function cap_of(line)
    if line[3] == 'opened' then return account(named(line[1], line[2])).cap end
    return line[3] ~= null and line[3] or nil
end
-- Units for each line, and how many are beyond all caps; or nothing, and how many there are.
local function spread(debit, amount, short)
    local units, left = {}, amount
    for number, line in ipairs(debit[3]) do
        local cap, free = cap_of(line), left
        if cap then
            local its = account(named(line[1], line[2]))
            free = whole(cap, its.used + its.held, line[4])
        end
        units[number] = min(left, free)
        left = left - units[number]
    end
    if left == 0 or short == 'overflow' then return units, left end
    local sink, beyond, grace = debit[3][debit[4] + 1], debit[5], debit[6]
    local its, cap, over = account(named(sink[1], sink[2])), cap_of(sink), 0
    local since = cap and its.used > cap and its.over
    if beyond == null and (grace == null or not since or now < since + grace) then return units, left end
    if cap then
        over = max(0, its.used + its.held - cap)
        over = parts(over, sink[4]) + (fmod(over, sink[4]) > 0 and 1 or 0)
    end
    local allowed = max(0, (beyond == null and 0 or beyond) - over)
    if left <= allowed then return units, left end
    local room = amount - left + allowed
    if short == 'cap' and room > 0 then return units, allowed end
    return nil, nil, room
end
-- Movements by which units of the lines, and overage on the sink, are used up.
local function takes_of(debit, units, overage)
    local takes, sum = {}, overage
    for number, line in ipairs(debit[3]) do
        sum = sum + units[number]
        if units[number] > 0 then takes[#takes + 1] = {line[1], line[2], units[number] * line[4], 0, line[4]} end
    end
    if overage > 0 then
        local sink = debit[3][debit[4] + 1]
        if overage * sink[4] > MOST then too_much = sink end
        takes[#takes + 1] = {sink[1], sink[2], overage * sink[4], 0, sink[4]}
    end
    return takes, sum
end
local function line_of(debit, take)
    for _, line in ipairs(debit[3]) do
        if line[1] == take[1] and line[2] == take[2] then return line end
    end
end
local function move_all(debit, takes)
    for _, take in ipairs(takes) do move(take, line_of(debit, take)) end
end
-- The answer that nothing was done, since accounts of lines have no cap yet, or since something is short.
local function unopened(lines)
    local found, seen = {}, {}
    for _, line in ipairs(lines) do
        local name = named(line[1], line[2])
        if line[3] == 'opened' and not account(name).opened and not seen[name] then
            seen[name] = true
            found[#found + 1] = concat({'[', quoted(line[1]), ',', quoted(line[2]), ']'})
        end
    end
    return found[1] and concat({'unopened\\n[', stamp, ',[', concat(found, ','), ']]'})
end
local function too_few(number, debit, room)
    return concat({'short\\n[', stamp, ',', number - 1, ',', plain(room), ',', balances_text(debit[3]), ',null]'})
end
"""

#: Holds that are not settled in time.
EXPIRING: Final = """
local function free(name, hold, kind)
    local takes = {}
    for number, take in ipairs(hold[5]) do takes[number] = {take[1], take[2], 0, -take[4], take[5]} end
    for _, take in ipairs(takes) do move(take) end
    drop('h' .. name)
    return enter(name, 1, kind, null, {filled_text(hold[4][1], hold[3], 0, takes)})
end
local function take_back(member)
    local length, names = match(member, '^s(%d+):(.*)$')
    move({sub(names, 1, length), 'slots', -1, 0, 1})
    drop(member)
end
-- Free what has expired, so much at once; is there more?
local expired = 0
local function free_expired(most)
    local some = call('ZRANGEBYSCORE', expiring, '-inf', stamp, 'LIMIT', expired, most)
    for _, member in ipairs(some) do
        local its = kept(member)
        if its and sub(member, 1, 1) == 'h' then
            free(sub(member, 2), decode(its), 'expire')
        elseif its then
            take_back(member)
        end
    end
    expired = expired + #some
    return #some == most
end
"""

#: `Debit`, `Hold`, `Adjust`, `Open`.
DEBITING: Final = """
local act = {}
-- What accounts of lines say by now; and a function by which they say it again.
local function saved(lines)
    local names, was = {}, {}
    for _, line in ipairs(lines) do
        local name = named(line[1], line[2])
        local its = account(name)
        names[#names + 1], was[#was + 1] = name, {its.used, its.cap, its.over, touched[name]}
    end
    return function()
        for number, name in ipairs(names) do
            local its = account(name)
            its.used, its.cap, its.over, touched[name] = was[number][1], was[number][2], was[number][3], was[number][4]
        end
    end
end
-- Lines, or marks, of debits, each once.
local function each_once(debits, place)
    if not debits[2] then return debits[1][place] end
    local found, seen = {}, {}
    for _, debit in ipairs(debits) do
        for _, one in ipairs(debit[place]) do
            local name = named(one[1], place == 8 and plain(one[2]) or one[2])
            if not seen[name] then found[#found + 1] = one end
            seen[name] = true
        end
    end
    return found
end
function act.debit()
    local debits, all, said = {}, {}, {}
    for number = 7, #asked do
        debits[number - 6] = asked[number][2]
        for _, line in ipairs(asked[number][2][3]) do all[#all + 1] = line end
    end
    local answer = unopened(all)
    if answer then return answer end
    -- Of several that one account pays for each finds what those before it have left, and has the same marks.
    local lines, marks = each_once(debits, 3), each_once(debits, 8)
    local undo, before = saved(lines), totals(lines, marks)
    for number, debit in ipairs(debits) do
        local units, overage, room = spread(debit, debit[2], debit[7])
        if room then
            undo()
            return too_few(number, debit, room)
        end
        local takes, amount = takes_of(debit, units, overage)
        move_all(debit, takes)
        if too_much then return end
        said[number] = {amount, overage, takes}
    end
    cross(lines, marks, before)
    for number, debit in ipairs(debits) do
        local amount, overage, takes = unpack(said[number])
        said[number] = filled_text(debit[1], amount, overage, takes, balances_text(debit[3]))
    end
    return enter(asked[5], 0, 'debit', asked[6], said)
end
function act.hold(debit, text, length)
    local answer = unopened(debit[3])
    if answer then return answer end
    local units, overage, room = spread(debit, debit[2], debit[7])
    if room then return too_few(1, debit, room) end
    local takes, amount = takes_of(debit, units, overage)
    for _, take in ipairs(takes) do take[3], take[4] = 0, take[3] end
    move_all(debit, takes)
    if too_much then return end
    local member, expires = 'h' .. asked[5], now + length
    later('HSET', book, member, concat({
        '[', stamp, ',', plain(expires), ',', plain(amount), ',', text, ',', texts(takes, take_text), ']',
    }))
    later('ZADD', expiring, plain(expires), member)
    local said = filled_text(debit[1], amount, overage, takes, balances_text(debit[3]), expires)
    return enter(asked[5], 0, 'hold', asked[6], {said})
end
function act.adjust(line, amount, marks)
    local answer = unopened({line})
    if answer then return answer end
    local before, take = totals({line}, marks), {line[1], line[2], amount, 0, 1}
    move(take, line)
    cross({line}, marks, before)
    return not too_much
        and enter(asked[5], 0, 'adjust', asked[6], {filled_text(line[1], amount, 0, {take}, balances_text({line}))})
end
function act.open(meter, lot, cap)
    local name = named(meter, lot)
    local its = account(name)
    local was_opened = its.opened
    if not was_opened then
        its.cap, its.opened = cap, true
        put(name)
    end
    return said_text(meter, 0, 0, balance_text(name), was_opened)
end
"""
