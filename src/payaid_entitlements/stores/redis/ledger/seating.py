"""Slots, in Lua: as `payaid_entitlements.core.metering.seating` has it. A slot is kept as since when, until when."""

from __future__ import annotations

from typing import Final

#: `Assign`, `Unassign`, `Reassign`.
SEATING: Final = """
local function slot_text(since, expires) return concat({'[', plain(since), ',', or_null(expires), ']'}) end
local function keep_slot(member, since, expires)
    later('HSET', book, member, concat({plain(since), ' ', expires and plain(expires) or '-'}))
    if expires then later('ZADD', expiring, plain(expires), member) else later('ZREM', expiring, member) end
end
local function slot_of(feature, holder)
    local member = 's' .. named(feature, holder)
    local since, expires = match(kept(member) or '', '^(%S+) (%S+)$')
    since, expires = tonumber(since or '-'), tonumber(expires or '-')
    -- More has expired than was freed at once.
    if expires and expires <= now then
        take_back(member)
        since = nil
    end
    return member, since, expires
end
local function next_free(feature)
    local begin = concat({'s', #feature, ':', feature})
    for first = 0, call('ZCARD', expiring), 100 do
        local some = call('ZRANGE', expiring, first, first + 99, 'WITHSCORES')
        for number = 1, #some, 2 do
            local expires = tonumber(some[number + 1])
            if expires > now and sub(some[number], 1, #begin) == begin then return expires end
        end
    end
end
function act.assign(feature, holder, cap, beyond, length)
    local member, since = slot_of(feature, holder)
    local expires = length ~= null and now + length or nil
    local name, used = named(feature, 'slots'), account(named(feature, 'slots')).used
    local amount, overage = 0, 0
    if not since then
        if cap ~= null and beyond ~= null and used >= cap + beyond then
            return concat({
                'short\\n[', stamp, ',0,0,[', balance_text(name), '],', or_null(next_free(feature)), ']',
            })
        end
        amount, overage = 1, cap ~= null and used >= cap and 1 or 0
        move({feature, 'slots', 1, 0, 1}, {feature, 'slots', cap, 1})
    end
    if too_much then return end
    keep_slot(member, since or now, expires)
    return said_text(
        feature, amount, overage, balance_text(name), since ~= nil, nil, slot_text(since or now, expires)
    )
end
function act.unassign(feature, holder)
    local member, since = slot_of(feature, holder)
    if since then take_back(member) end
    return said_text(feature, since and 1 or 0, 0, balance_text(named(feature, 'slots')), since ~= nil)
end
function act.reassign(feature, holder, to)
    local member, since = slot_of(feature, holder)
    local other, has, expires = slot_of(feature, to)
    if not since and not has then return refusal('no slot', feature, holder) end
    if not since then
        return said_text(
            feature, 0, 0, balance_text(named(feature, 'slots')), true, nil, slot_text(has, expires)
        )
    end
    if has then return refusal('has a slot', feature, to) end
    drop(member)
    -- An invitation expires; who has accepted it is there to stay.
    keep_slot(other, now, nil)
    return said_text(feature, 0, 0, balance_text(named(feature, 'slots')), false, nil, slot_text(now, nil))
end
"""
