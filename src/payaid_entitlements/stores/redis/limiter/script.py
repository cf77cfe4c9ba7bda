"""
What the server does as one, in Lua: read the counters of a group, decide, and write all of them or none.

The script decides and writes as `payaid_entitlements.core.ratelimit.deciding.decide` does, to the microsecond and in
the same text. It says what it has found, and the core says what that means. A sliding log, which may be long, it sums
up to what means the same.

What nobody can read counts as empty and is written over, a key of another type too. A key that would stay forever,
since somebody has taken its time to live away, gets one.

Doubles are exact up to 2**53, and no number here is more; the quotient of two whole numbers below it is never rounded
up to the next whole one, so that `floor` is exact too.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.stores.redis.clients import Script

_STATES: Final = """
local min, max, floor, format, concat = math.min, math.max, math.floor, string.format, table.concat

-- The numbers of a state, as many as there are; none where nobody of us has written it.
local function numbers(text)
    local words, found = {}, {}
    for word in string.gmatch(text, '%d+') do
        local number = tonumber(word)
        if #word > 16 or number >= 9007199254740992 then return {} end
        words[#words + 1], found[#found + 1] = word, number
    end
    return concat(words, ' ') == text and found or {}
end
local function written(state)
    local words = {}
    for place, number in ipairs(state) do words[place] = format('%.0f', number) end
    return concat(words, ' ')
end
"""

# Everything but GCRA: is there room, what is written then, for how many microseconds it is good, and what was found.
_OTHERS: Final = (
    _STATES
    + """
others = function(kind, text, quota, window, now, cost, permit)
    local state = numbers(text)
    if kind == 1 then
        -- Fixed window.
        local start, used = now - now % window, 0
        if #state == 2 and state[1] >= start then start, used = state[1], state[2] end
        if used + cost > quota then return false, nil, nil, written(state) end
        return true, written({start, used + cost}), start + window - now, written(state)
    elseif kind == 2 then
        -- Sliding counter; its one product of fractions is computed as in the core.
        local begun = now - now % window
        local start, current, previous = state[1], state[2], state[3]
        if #state ~= 3 or begun > start + window then
            start, current, previous = begun, 0, 0
        elseif begun > start then
            start, current, previous = begun, 0, current
        end
        local used = floor(previous * ((window - max(now - start, 0)) / window)) + current
        if used + cost > quota then return false, nil, nil, written(state) end
        return true, written({start, current + cost, previous}), start - now + 2 * window, written(state)
    elseif kind == 3 then
        -- Sliding log.
        if #state % 2 == 1 then state = {} end
        local last = state[#state - 1]
        local live, used, ended = {}, 0, last and max(now, last) - window
        for place = 1, #state, 2 do
            if state[place] > ended then
                live[#live + 1], live[#live + 2], used = state[place], state[place + 1], used + state[place + 1]
            end
        end
        if used + cost <= quota then
            local said = #live > 0 and written({last, used}) or ''
            local time = #live > 0 and max(now, last) or now
            if #live > 0 and time == last then
                live[#live] = live[#live] + cost
            else
                live[#live + 1], live[#live + 2] = time, cost
            end
            return true, written(live), time + window - now, said
        end
        -- When enough of them will have ended, and what is left then.
        local ending, place = 0, -1
        while cost <= quota and ending < used + cost - quota do
            place = place + 2
            ending = ending + live[place + 1]
        end
        if place < 0 or place + 1 == #live then return false, nil, nil, #live > 0 and written({last, used}) or '' end
        return false, nil, nil, written({live[place], ending, last, used - ending})
    end
    -- Permits, each once: where one was written twice, the last time counts.
    if #state % 2 == 1 then state = {} end
    local order, held, ends = {}, {}, now + window
    for place = 1, #state, 2 do
        local expires, each = state[place], state[place + 1]
        if expires > now then
            if not held[each] then order[#order + 1] = each end
            held[each] = expires
        end
    end
    if not held[permit] and #order >= quota then return false, nil, nil, written(state) end
    local kept = {}
    for _, each in ipairs(order) do
        if each ~= permit then
            kept[#kept + 1], kept[#kept + 2] = held[each], each
            ends = max(ends, held[each])
        end
    end
    kept[#kept + 1], kept[#kept + 2] = now + window, permit
    return true, written(kept), ends - now, written(state)
end
"""
)

#: Count a call on each group of keys. Its argument: now (or `OUR_CLOCK`), cost and permit, in doubles; then 41 bytes
#: for each key. The answer has a line for each group: 1 or 0, now, and behind commas what was found.
HIT: Final = Script(
    """
local unpack, call, pcall, match, format = struct.unpack, redis.call, redis.pcall, string.match, string.format
local floor, ceil = math.floor, math.ceil
local others, clock, clocks
local base, answers = 0, {}
for group = 1, #ARGV do
    local asked = ARGV[group]
    local now, cost, permit, at = unpack('<ddd', asked)
    -- Who brings a clock of his own may stop it: what he counts stays for a minute at least.
    local least = 60000000
    if now < -9007199254740992 then
        if not clock then
            local time = call('TIME')
            clock = time[1] * 1000000 + time[2]
            clocks = format('%.0f', clock)
        end
        now, least = clock, 0
    end
    local count, is_allowed = (#asked - 24) / 41, true
    local texts, lives, stays = {}, {}, {}
    local answer = now == clock and clocks or format('%.0f', now)
    for place = 1, count do
        local kind, one, two, three, four, five
        kind, one, two, three, four, five, at = unpack('<Bddddd', asked, at)
        local found = pcall('GET', KEYS[base + place])
        local text = type(found) == 'string' and found or ''
        local is_within
        if kind < 2 then
            -- GCRA: the quota, the microseconds and quota-ths of one that a unit takes, and those of a full burst.
            local tat, rest, by = match(text, '^(%d+) (%d+) (%d+)$')
            if tat and #tat < 17 and #rest < 17 and #by < 17 then
                tat, rest, by = tonumber(tat), tonumber(rest), tonumber(by)
            else
                tat = nil
            end
            if tat and tat < 9007199254740992 and rest < by and by <= 67108864 then
                if tat < now then
                    tat, rest = now, 0
                elseif by ~= one then
                    -- It was counted by another quota: (tat - now) * by / one, in parts whose products are exact.
                    local high = floor((tat - now) / 67108864)
                    local low = (tat - now - high * 67108864) * by + rest
                    local wholes = floor(high * by / one)
                    local between = (high * by - wholes * one) * 67108864
                    local more, less = floor(between / one), floor(low / one)
                    tat, rest = now + wholes * 67108864 + more + less, between - more * one + low - less * one
                end
            else
                text, tat, rest = '', now, 0
            end
            rest = rest + cost * three
            local whole = floor(rest / one)
            tat, rest = tat + cost * two + whole, rest - whole * one
            local debt = tat - now
            is_within = debt < four or debt == four and rest <= five
            stays[place] = found and four
            if is_within then texts[place], lives[place] = format('%.0f %.0f %.0f', tat, rest, one), debt end
        else
            if not others then
"""
    f"{_OTHERS}"
    """
            end
            stays[place] = found and 2 * two
            is_within, texts[place], lives[place], text =
                others(floor(kind / 2), text, one, two, now, cost, permit)
            -- Where time ran backwards a state is from the future: for so long it does not stay.
            if lives[place] and lives[place] > 2 * two then lives[place] = 2 * two end
        end
        if not is_within and kind % 2 == 1 then is_allowed = false end
        answer = answer .. ',' .. text
    end
    if cost == 0 then
        is_allowed = true
    else
        for place = 1, count do
            local text = is_allowed and texts[place]
            local life = text and lives[place] or stays[place]
            if text or life and call('PTTL', KEYS[base + place]) == -1 then
                life = ceil((life < least and least or life) / 1000) + 1
                if text then
                    call('SET', KEYS[base + place], text, 'PX', life)
                else
                    call('PEXPIRE', KEYS[base + place], life)
                end
            end
        end
    end
    base = base + count
    answers[group] = (is_allowed and '1' or '0') .. answer
end
return answers[2] and table.concat(answers, '\\n') or answers[1]
"""
)

#: Free a permit on each key, for which there is a longest time to live, in milliseconds, behind the permit.
GIVE_BACK: Final = Script(
    _STATES
    + """
local call, permit = redis.call, tonumber(ARGV[1])
for place, key in ipairs(KEYS) do
    local found = redis.pcall('GET', key)
    local state = numbers(type(found) == 'string' and found or '')
    local kept = {}
    for number = 1, #state - 1, 2 do
        if state[number + 1] ~= permit then
            kept[#kept + 1], kept[#kept + 2] = state[number], state[number + 1]
        end
    end
    if #state % 2 == 0 and #kept < #state then
        if #kept == 0 then
            call('DEL', key)
        else
            local life = call('PTTL', key)
            call('SET', key, written(kept), 'PX', life > 0 and life or ARGV[1 + place])
        end
    end
end
return 1
"""
)
