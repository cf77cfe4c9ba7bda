"""What becomes of holds, and what is given back, in Lua: as `payaid_entitlements.core.metering.closing` has it."""

from __future__ import annotations

from typing import Final

#: `Settle`, `Release`, `Extend`, `Refund`.
CLOSING: Final = """
-- What a hold set aside, and what became of it; or the answer that there was none.
local function held_by(name)
    local text, closed = entry(0, name), entry(1, name)
    local its = text and decode(text)
    if not its or its[1] ~= 'hold' then return nil, nil, refusal('no hold', name) end
    return its[3][2][1], closed and decode(closed), closed
end
local function open_hold(name)
    local text = kept('h' .. name)
    local hold = text and decode(text)
    -- More has expired than was freed at once.
    if hold and hold[2] <= now then
        free(name, hold, 'expire')
        hold = nil
    end
    return hold
end
local function again(its, text)
    return (its[4] ~= null and its[4] == asked[4] and 'done\\n' or 'again\\n') .. text
end
function act.settle(name, actual)
    local held, closed, text = held_by(name)
    if not held then return text end
    if actual == null then actual = held[1] end
    if closed and closed[1] == 'settle' then
        local first = closed[3][2][1][1]
        return first == actual and again(closed, text) or refusal('settled', name, plain(first), plain(actual))
    end
    local hold = open_hold(name)
    if not hold then return refusal('expired', name) end
    local debit, left, freed, charged, by_name = hold[4], actual, {}, {}, {}
    local lines, overage = debit[3], held[2]
    for number, take in ipairs(held[3]) do
        if overage == 0 or held[3][number + 1] then by_name[named(take[1], take[2])] = parts(take[4], take[5]) end
    end
    for number = 1, #lines + 1 do
        local line = lines[number]
        freed[number] = line and (by_name[named(line[1], line[2])] or 0) or overage
        charged[number] = min(freed[number], left)
        left = left - charged[number]
    end
    if left > 0 then
        local units, beyond = spread(debit, left, 'overflow')
        units[#lines + 1] = beyond
        for number, more in ipairs(units) do charged[number] = charged[number] + more end
    end
    local takes, before = {}, totals(lines, debit[8])
    for number = 1, #lines + 1 do
        local line = lines[number] or lines[debit[4] + 1]
        if charged[number] > 0 or freed[number] > 0 then
            if charged[number] * line[4] > MOST then too_much = line end
            takes[#takes + 1] = {line[1], line[2], charged[number] * line[4], -freed[number] * line[4], line[4]}
        end
    end
    for _, take in ipairs(takes) do
        -- What accounts say of their caps may be newer than the hold: it only speaks of those that are new.
        move(take, account(named(take[1], take[2])).is_new and line_of(debit, take))
    end
    if too_much then return end
    cross(lines, debit[8], before)
    drop('h' .. name)
    local said = filled_text(debit[1], actual, charged[#lines + 1], takes, balances_text(lines))
    return enter(name, 1, 'settle', null, {said})
end
function act.release(name)
    local held, closed, text = held_by(name)
    if not held then return text end
    if closed then
        local first = closed[3][2][1][1]
        if closed[1] == 'settle' and first > 0 then return refusal('charged', name, plain(first)) end
        return again(closed, text)
    end
    local hold = open_hold(name)
    if not hold then
        text = entry(1, name)
        return text and 'again\\n' .. text or refusal('expired', name)
    end
    return free(name, hold, 'release')
end
function act.extend(name, by)
    local held, closed, text = held_by(name)
    if not held then return text end
    if closed and closed[1] == 'settle' then return refusal('over', name) end
    local hold = open_hold(name)
    if not hold then return refusal('expired', name) end
    local expires = hold[2] + by
    if expires > MOST then return refusal('never', name) end
    local text = string.gsub(kept('h' .. name), ',%d+,', concat({',', plain(expires), ','}), 1)
    later('HSET', book, 'h' .. name, text)
    later('ZADD', expiring, plain(expires), 'h' .. name)
    return said_text(hold[4][1], 0, 0, nil, false, expires)
end
function act.refund(name, amounts)
    local text = entry(0, name)
    local source = text and decode(text)
    if not source then return refusal('nothing', name) end
    if source[1] == 'adjust' then return refusal('correction', name) end
    if source[1] == 'hold' then
        if open_hold(name) then return refusal('open', name) end
        local feature = source[3][2][1][6]
        text = entry(1, name)
        source = text and decode(text)
        -- A hold that came to nothing has used nothing up.
        if not source or source[1] ~= 'settle' then source = {null, null, {0, {{0, 0, {}, {}, null, feature}}}} end
    end
    local taken, had, wanted = source[3][2], {}, {}
    for _, filled in ipairs(taken) do
        local sum = 0
        for _, take in ipairs(filled[3]) do sum = sum + parts(take[3], take[5]) end
        had[filled[6]] = sum
        if amounts == null then wanted[filled[6]] = sum end
    end
    if amounts ~= null then
        for _, each in ipairs(amounts) do wanted[each[1]] = each[2] end
    end
    local first = entry(2, name)
    if first then
        local its, same = decode(first), {}
        for _, filled in ipairs(its[3][2]) do
            if filled[1] > 0 then same[filled[6]] = filled[1] end
        end
        for feature, amount in pairs(wanted) do
            if amount ~= (same[feature] or 0) then return refusal('refunded', name) end
        end
        for feature in pairs(same) do
            if not wanted[feature] then return refusal('refunded', name) end
        end
        return again(its, first)
    end
    for feature, amount in pairs(wanted) do
        if amount > (had[feature] or 0) then
            return refusal('too many', name, feature, plain(had[feature] or 0), plain(amount))
        end
    end
    local said = {}
    for number, filled in ipairs(taken) do
        local amount, takes = wanted[filled[6]] or 0, {}
        local left = amount
        for at = #filled[3], 1, -1 do
            local take = filled[3][at]
            local units = min(left, parts(take[3], take[5]))
            left = left - units
            if units > 0 then table.insert(takes, 1, {take[1], take[2], -units * take[5], 0, take[5]}) end
        end
        for _, take in ipairs(takes) do move(take) end
        said[number] = filled_text(filled[6], amount, min(amount, filled[2]), takes)
    end
    return not too_much and enter(name, 2, 'refund', null, said)
end
"""
