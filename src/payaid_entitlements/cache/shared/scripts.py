"""
What the shared Redis does as one, in Lua. A key that is not of the type that it should have harms nobody.

The clock is the server's, unless the caller says what time it is, as a test does.
"""

from __future__ import annotations

from typing import Final

from payaid_entitlements.stores.redis.clients import Script

_NOW = """
local function now(said)
    if said ~= '' then return tonumber(said) end
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function plain(number) return string.format('%.0f', number) end
local function held(key)
    local found = redis.pcall('GET', key)
    return type(found) == 'string' and found or nil
end
"""

_HEAD = """
local HEAD = '^payaid1 (%w+) (%d+) (%d+) (%d+) (%d+) %d+\\n'
local function head(key)
    local found = redis.pcall('GETRANGE', key, 0, 255)
    if type(found) ~= 'string' then return nil end
    return string.match(found, HEAD)
end
"""

#: Take a copy that may be used, or the lease under which one process reads the store, or word to wait for it.
#:
#: A copy near the end of its life gives the lease with it, to one who is drawn by lot: it will be read again before
#: everybody needs it.
FETCH: Final = Script(
    _NOW
    + _HEAD
    + """
local copy, lease = KEYS[1], KEYS[2]
local token, lease_ms, epoch = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local least_revision, least_position = tonumber(ARGV[4]), tonumber(ARGV[5])
local luck, life, most, said = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]

local function lead()
    -- It is mine already where a client asks again by itself, because the first answer was lost.
    if redis.call('SET', lease, token, 'NX', 'PX', lease_ms) or held(lease) == token then return true end
    local left = redis.call('PTTL', lease)
    if left < 0 or left > lease_ms then
        -- Nobody of us has set this.
        redis.call('SET', lease, token, 'PX', lease_ms)
        return true
    end
    return false
end

local found = 'none'
local size = redis.pcall('STRLEN', copy)
if type(size) ~= 'number' or size > most then
    found = 'poisoned'
elseif size > 0 then
    local its_epoch, revision, position, at, cost = head(copy)
    if not its_epoch then
        found = 'poisoned'
    else
        local age = now(said) - tonumber(at)
        if its_epoch ~= epoch or tonumber(revision) < least_revision or tonumber(position) < least_position
            or age >= life or age < -life then
            found = 'old'
        else
            local is_drawn = age + math.max(tonumber(cost), 1000) * luck >= life and lead()
            return {'copy', redis.call('GET', copy), is_drawn and 1 or 0}
        end
    end
end
return {lead() and 'lease' or 'wait', found}
"""
)

#: Take the lease from whoever has it; what is there goes where it is of no use.
CLAIM: Final = Script(
    """
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == '1' then redis.call('DEL', KEYS[1]) end
"""
)

#: Put a copy there, if its lease still holds and nothing newer is there.
FILL: Final = Script(
    _NOW
    + _HEAD
    + """
local copy, lease = KEYS[1], KEYS[2]
local token, life, said = ARGV[1], ARGV[2], ARGV[3]
local epoch, revision, position, cost, rest = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if held(lease) ~= token then return 0 end
redis.call('DEL', lease)
local its_epoch, its_revision, its_position = head(copy)
if its_epoch == epoch then
    local newer = tonumber(its_revision) - tonumber(revision)
    if newer > 0 or (newer == 0 and tonumber(its_position) > tonumber(position)) then return 0 end
end
local begin = table.concat({'payaid1', epoch, revision, position, plain(now(said)), cost}, ' ')
redis.call('SET', copy, begin .. ' ' .. rest, 'PX', life)
return 1
"""
)

#: Give a lease back, unused.
GIVE_BACK: Final = Script(
    _NOW
    + """
if held(KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
"""
)

#: A tenant has changed: what is older goes, also what is about to be put there, and whoever listens is told.
ANNOUNCE: Final = Script(
    _HEAD
    + """
redis.call('DEL', KEYS[2])
local _, revision = head(KEYS[1])
if not revision or tonumber(revision) < tonumber(ARGV[1]) then redis.call('DEL', KEYS[1]) end
redis.call('PUBLISH', ARGV[2], ARGV[3])
"""
)

#: Something has changed that is about all tenants: whoever listens is told.
TELL: Final = Script("redis.call('PUBLISH', ARGV[1], ARGV[2])")

_STAMP = """
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
local function stamp()
    return string.match(held(KEYS[1]) or '', '^payaid1 (%w+) (%d+) (%d+) (%S+)$')
end
"""

#: Read where the change log ended and how many milliseconds ago that was; -1 where that is not known. Also what time
#: it is, and on which run of which server: of another one the clock is another.
READ_STAMP: Final = Script(
    _NOW
    + _STAMP
    + """
local epoch, position, at, its_server = stamp()
local time = now(ARGV[2])
if not epoch then
    epoch, position, at, its_server = ARGV[1], '0', '0', '-'
    redis.call('SET', KEYS[1], table.concat({'payaid1', epoch, position, at, its_server}, ' '))
end
local age = time - tonumber(at)
if at == '0' or its_server ~= server or age < 0 then age = -1 end
return {epoch, position, plain(age), plain(time), server}
"""
)

#: Note where the change log ended, unless that is known of a later instant; in a new epoch in any case.
SET_STAMP: Final = Script(
    _NOW
    + _STAMP
    + """
local epoch, position, at, its_server, was = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if its_server ~= server then return 0 end
local known, known_position, known_at, known_server = stamp()
if known ~= was then return 0 end
if known == epoch and known_server == server then
    local later = tonumber(known_at)
    -- Not one from before the clock was set back, which would be in the future.
    if later >= tonumber(at) and later <= now(ARGV[6]) then return 0 end
end
redis.call('SET', KEYS[1], table.concat({'payaid1', epoch, position, at, server}, ' '))
return 1
"""
)
