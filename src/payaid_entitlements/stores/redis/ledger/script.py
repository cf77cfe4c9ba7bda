"""
What a posting does as one, in Lua: what `payaid_entitlements.core.metering.book` says in Python.

The same postings on the same accounts have the same answer there and here; a differential test sees to that. Nothing
is moved before all is decided. An answer is a word, a newline, and JSON, as
`payaid_entitlements.core.metering.encoding` writes it; an entry has the same JSON, so who repeats gets what the first
got.

What is asked: ``now, tenant, keeps_for, token, operation, digest``, and postings.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.stores.redis.clients import Script
from payaid_entitlements.stores.redis.ledger.closing import CLOSING
from payaid_entitlements.stores.redis.ledger.debiting import DEBITING, EXPIRING, SPREADING
from payaid_entitlements.stores.redis.ledger.machinery import BEGIN, MOVING, ROWS
from payaid_entitlements.stores.redis.ledger.seating import SEATING

#: One debit, of one lot, that is free there, while nothing is held and no mark is reached. It is what is done nearly
#: always, so it is said once more, at a third of the cost. What it cannot do it leaves as it was, to what follows.
_HOT: Final = """
local hot
local first = asked[7]
local debit = first[2]
if first[1] == 'debit' and not asked[8] and not debit[3][2] then
    local meter, lot, cap, cost = unpack(debit[3][1])
    local name = 'a' .. #meter .. ':' .. meter .. lot
    local before, folded = match(call('HGET', book, name) or '', '^(%-?%d+) 0 [%d-]+ %- (%-?%d+)$')
    if before and cap ~= 'opened' then
        local moved = debit[2] * cost
        local used = before + moved
        local fits = moved <= 9007199254740991 and used <= (cap == null and 9007199254740991 or cap)
        for _, mark in ipairs(debit[8]) do
            fits = fits and (mark[1] ~= meter or used < mark[2] or mark[2] <= tonumber(before))
        end
        local shown, all = cap == null and '-' or format('%.0f', cap), format('%.0f', used)
        if fits and call('HSETNX', entries, '0' .. asked[5], format(
            '["debit",%s,[%s,[[%.0f,0,[[%s,%s,%.0f,0,%.0f]],[[%s,0,%s,false,null]],null,%s]],[]],%s]',
            quoted(asked[6]), stamp, debit[2], quoted(meter), quoted(lot), moved, cost, all,
            cap == null and 'null' or shown, quoted(debit[1]), quoted(asked[4])
        )) == 1 then
            call('HSET', book, name, all .. ' 0 ' .. shown .. ' - ' .. folded)
            hot = 'hot\\n' .. stamp .. ',' .. all
            if call('RPUSH', order, stamp .. ' 0' .. asked[5]) % 8 > 0 then return hot end
        end
    end
end
"""

#: What was done before, what has expired, and then the act itself. Each eighth entry is a reason to look for old ones.
_ACT: Final = """
if not hot then
    local kind = first[1]
    if kind == 'debit' or kind == 'hold' or kind == 'adjust' then
        local text = entry(0, asked[5])
        local its = text and decode(text)
        if its and (its[1] ~= kind or its[2] ~= asked[6]) then return refusal('conflict', asked[5], its[1]) end
        if its then return again(its, text) end
    end
    local more = free_expired(100)
    local answer = act[kind](unpack(first, 2))
    while more and answer and sub(answer, 1, 5) == 'short' do
        more = free_expired(1000)
        answer = act[kind](unpack(first, 2))
    end
    if not answer then return refusal('too much', too_much[1], too_much[2]) end
    if sub(answer, 1, 7) == 'refused' then return answer end
    write()
    if not entered or call('LLEN', order) % 8 > 0 then return answer end
    hot = answer
end
prune(now - keeps, 16)
write()
return hot
"""

# In a function of its own, which is not made ready where it is not called.
_REST: Final = ROWS + MOVING + SPREADING + EXPIRING + DEBITING + CLOSING + SEATING + _ACT

POST: Final = Script(f"{BEGIN}{_HOT}local function rest(){_REST}end\nreturn rest()")

#: Forget operations of a tenant that are from before an instant, but none too early.
PRUNE: Final = Script(
    BEGIN
    + ROWS
    + """
local before = min(asked[4], now - keeps)
local pruned = prune(before, asked[6])
for _, name in ipairs(asked[5]) do
    if pruned < asked[6] then pruned = pruned + forget(name, before) end
end
write()
return pruned
"""
)
