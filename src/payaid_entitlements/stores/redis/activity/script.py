"""
What the server does as one, in Lua, and under which keys what is kept.

All keys of activity have one hash tag of their own, so one script can change them together, on a cluster too. WHAT is
the kind, a colon and the key; DAY has eight digits, counted from 1 January of the year 1.

======= ====== ================================================================
key     type   holds
======= ====== ================================================================
t:id    sorted DAY and WHAT, in the order of bytes: what a tenant did
d:WHAT  sorted tenants by the last day on which they were seen
n:WHAT  sorted the same tenants, in the order of bytes
k       set    each WHAT that is there
o       sorted tenants by the first day of which something is kept: for sweeping
======= ====== ================================================================
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.stores.redis.clients import Script

#: Tenants that are looked at by one script, at most: about a millisecond of the server's time.
LOOKED_AT: Final = 1_000

_LOST = """
local function lost(tenant, what, before)
    local last = redis.call('ZSCORE', at .. 'd:' .. what, tenant)
    if last and tonumber(last) < before then
        redis.call('ZREM', at .. 'd:' .. what, tenant)
        redis.call('ZREM', at .. 'n:' .. what, tenant)
        if redis.call('EXISTS', at .. 'd:' .. what) == 0 then redis.call('SREM', at .. 'k', what) end
    end
end
"""

_AT = "local at = KEYS[1]\n"

#: Tenant, day and what, again and again.
RECORD: Final = Script(
    _AT
    + """
for number = 1, #ARGV, 3 do
    local tenant, day, what = ARGV[number], ARGV[number + 1], ARGV[number + 2]
    redis.call('ZADD', at .. 't:' .. tenant, 0, day .. what)
    local last = redis.call('ZSCORE', at .. 'd:' .. what, tenant)
    if not last or tonumber(last) < tonumber(day) then redis.call('ZADD', at .. 'd:' .. what, tonumber(day), tenant) end
    redis.call('ZADD', at .. 'n:' .. what, 0, tenant)
    redis.call('SADD', at .. 'k', what)
    local first = redis.call('ZSCORE', at .. 'o', tenant)
    if not first or tonumber(first) > tonumber(day) then redis.call('ZADD', at .. 'o', tonumber(day), tenant) end
end
return {'recorded'}
"""
)

#: Tenant, since, until.
OF: Final = Script(_AT + "return redis.call('ZRANGEBYLEX', at .. 't:' .. ARGV[1], '[' .. ARGV[2], '(' .. ARGV[3])\n")

#: What, since, from where in the order of bytes, how many at most, how many are looked at. First: who was looked at
#: last, empty when there is nobody behind.
TENANTS: Final = Script(
    _AT
    + """
local what, since, most, looked = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local page = redis.call('ZRANGEBYLEX', at .. 'n:' .. what, ARGV[3], '+', 'LIMIT', 0, looked)
local found, last = {''}, ''
for _, tenant in ipairs(page) do
    if #found > most then break end
    last = tenant
    if tonumber(redis.call('ZSCORE', at .. 'd:' .. what, tenant)) >= since then found[#found + 1] = tenant end
end
if #page == looked then found[1] = last end
return found
"""
)

#: The kind and its colon, since.
KEYS: Final = Script(
    _AT
    + """
local found = {}
for _, what in ipairs(redis.call('SMEMBERS', at .. 'k')) do
    if string.sub(what, 1, #ARGV[1]) == ARGV[1] then
        local last = redis.call('ZREVRANGE', at .. 'd:' .. what, 0, 0, 'WITHSCORES')
        if tonumber(last[2]) >= tonumber(ARGV[2]) then found[#found + 1] = string.sub(what, #ARGV[1] + 1) end
    end
end
return found
"""
)

#: Before which day, how many at most.
SWEEP: Final = Script(
    _AT
    + _LOST
    + """
local before, most, swept = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', at .. 'o', '-inf', '(' .. ARGV[1], 'LIMIT', 0, most)) do
    if swept >= most then break end
    local own = at .. 't:' .. tenant
    local old = redis.call('ZRANGEBYLEX', own, '-', '(' .. ARGV[1], 'LIMIT', 0, most - swept)
    for _, member in ipairs(old) do
        redis.call('ZREM', own, member)
        lost(tenant, string.sub(member, 9), before)
    end
    swept = swept + #old
    local first = redis.call('ZRANGE', own, 0, 0)[1]
    if first then
        redis.call('ZADD', at .. 'o', tonumber(string.sub(first, 1, 8)), tenant)
    else
        redis.call('ZREM', at .. 'o', tenant)
    end
end
return {swept}
"""
)

#: The tenant.
FORGET: Final = Script(
    _AT
    + _LOST
    + """
local own = at .. 't:' .. ARGV[1]
for _, member in ipairs(redis.call('ZRANGE', own, 0, -1)) do lost(ARGV[1], string.sub(member, 9), math.huge) end
redis.call('DEL', own)
redis.call('ZREM', at .. 'o', ARGV[1])
return {'forgotten'}
"""
)
