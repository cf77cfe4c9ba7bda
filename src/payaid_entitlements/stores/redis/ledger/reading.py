"""
What is read of a ledger, and kept in order, as one: in Lua. What is posted is in `script`.

Nothing here changes what is counted. Numbers are written as text: Lua would round them to 14 digits.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.stores.redis.clients import Script

_NOW: Final = """
local function clock(said)
    if said ~= cjson.null then return said end
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end
local function plain(number) return string.format('%.0f', number) end
"""

#: Accounts as they are kept, and by how much what has expired is less on each: ``text, used, held``.
BALANCES: Final = Script(
    _NOW
    + """
local book, expiring = KEYS[1], KEYS[2]
local asked = cjson.decode(ARGV[1])
local names, fields, less = asked[2], {}, {}
for number, name in ipairs(names) do
    fields[number] = 'a' .. name
    less[name] = {0, 0}
end
local kept = redis.call('HMGET', book, unpack(fields))
for _, member in ipairs(redis.call('ZRANGEBYSCORE', expiring, '-inf', plain(clock(asked[1])))) do
    if string.sub(member, 1, 1) == 'h' then
        for _, take in ipairs(cjson.decode(redis.call('HGET', book, member))[5]) do
            local its = less[#take[1] .. ':' .. take[1] .. take[2]]
            if its then its[2] = its[2] + take[4] end
        end
    else
        local length, names = string.match(member, '^s(%d+):(.*)$')
        local its = less[length .. ':' .. string.sub(names, 1, length) .. 'slots']
        if its then its[1] = its[1] + 1 end
    end
end
local answer = {}
for number, name in ipairs(names) do
    local its = less[name]
    answer[number] = {kept[number], plain(its[1]), plain(its[2])}
end
return answer
"""
)

#: A hold, if it is open.
HOLD: Final = Script(
    _NOW
    + """
local asked = cjson.decode(ARGV[1])
local found = redis.call('HGET', KEYS[1], 'h' .. asked[2])
return found and cjson.decode(found)[2] > clock(asked[1]) and found
"""
)

#: Slots that have not expired, of one feature or of all: name and text, in turn.
SLOTS: Final = Script(
    _NOW
    + """
local asked = cjson.decode(ARGV[1])
local now, begin, answer = clock(asked[1]), 's' .. asked[2], {}
local kept = redis.call('HGETALL', KEYS[1])
for number = 1, #kept, 2 do
    local name, text = kept[number], kept[number + 1]
    if string.sub(name, 1, #begin) == begin then
        local expires = tonumber(string.match(text, ' (%-?%d+)$'))
        if not expires or expires > now then
            answer[#answer + 1] = name
            answer[#answer + 1] = text
        end
    end
end
return answer
"""
)

#: Tenants of some shards, so many of each, in the order of bytes.
TENANTS: Final = Script(
    """
local answer = {}
for number, tenants in ipairs(KEYS) do
    answer[number] = redis.call('ZRANGEBYLEX', tenants, ARGV[1], '+', 'LIMIT', 0, ARGV[2])
end
return answer
"""
)

#: Ids of the oldest events of some shards that nobody is telling, so many of each.
WAITING: Final = Script(
    _NOW
    + """
local asked = cjson.decode(ARGV[1])
local now, answer = plain(clock(asked[1])), {}
for _, waiting in ipairs(KEYS) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, asked[2])) do
        answer[#answer + 1] = id
    end
end
return answer
"""
)

#: Claim events of a shard, those that nobody has claimed meanwhile: id and event, in turn.
CLAIM: Final = Script(
    _NOW
    + """
local waiting, events = KEYS[1], KEYS[2]
local asked = cjson.decode(ARGV[1])
local now, answer = clock(asked[1]), {}
for _, id in ipairs(asked[3]) do
    local claimed = redis.call('ZSCORE', waiting, id)
    if claimed and tonumber(claimed) <= now then
        redis.call('ZADD', waiting, plain(now + asked[2]), id)
        answer[#answer + 1] = id
        answer[#answer + 1] = redis.call('HGET', events, id)
    end
end
return answer
"""
)

#: Forget events of a shard.
DROP: Final = Script(
    """
redis.call('ZREM', KEYS[1], unpack(ARGV))
redis.call('HDEL', KEYS[2], unpack(ARGV))
"""
)

#: Forget all of a tenant.
FORGET: Final = Script(
    """
local book, entries, order, expiring, tenants, waiting, events = unpack(KEYS)
local tenant = ARGV[1]
redis.call('DEL', book, entries, order, expiring)
redis.call('ZREM', tenants, tenant)
for _, id in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
    if cjson.decode(redis.call('HGET', events, id))[1] == tenant then
        redis.call('ZREM', waiting, id)
        redis.call('HDEL', events, id)
    end
end
"""
)

#: Write some entries that another ledger kept: what they begin with, when they were made, their text, in turn.
ENTER: Final = Script(
    """
local book, entries, order, expiring, tenants = unpack(KEYS)
redis.call('ZADD', tenants, 0, ARGV[1])
for at = 2, #ARGV, 3 do
    if redis.call('HSETNX', entries, ARGV[at], ARGV[at + 2]) == 1 then
        redis.call('RPUSH', order, ARGV[at + 1] .. ' ' .. ARGV[at])
    end
end
"""
)

#: Write some of what another ledger kept in its book: name, text, when it expires or nothing, in turn.
FILL: Final = Script(
    """
local book, entries, order, expiring, tenants = unpack(KEYS)
redis.call('ZADD', tenants, 0, ARGV[1])
for at = 2, #ARGV, 3 do
    local is_new = redis.call('HSETNX', book, ARGV[at], ARGV[at + 1]) == 1
    if is_new and ARGV[at + 2] ~= '' then redis.call('ZADD', expiring, ARGV[at + 2], ARGV[at]) end
end
"""
)
