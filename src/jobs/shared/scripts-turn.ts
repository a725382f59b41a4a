import type { Script } from '../../cluster/store-link.ts'
import { COMMON } from './scripts-common.ts'

const script = (name: string, lua: string): Script => ({ name, keys: 1, lua: COMMON + lua })

/**
 * ARGV: id, slot, run, turn, now, how long a doubted run must be silent (ms), interruptions at least, and problems (sealed): the deadline has passed, interrupted and may be
 * done again, interrupted and may not. Returns `over`, `ended`, `line` TAG, `sleep` AT, `held` MS, or `go` N REQUEST FD FC FH ORDER DEADLINE.
 */
export const BEGIN = script(
  'cbtorTurnBegin',
  `
local id, slot, run, turn, now, silence, leastInterruptions, late, interrupted, mayBeSent = unpack(ARGV)
now = num(now)
local slots = B .. ':sl:' .. id
local owner, st, deadline, interruptions = unpack(call('HMGET', J(id), 'o', 'st', 'da', 'ir'))
local state = call('HGET', slots, slot)
if st ~= 'running' or not state then return {'over'} end

local function go(n)
  local row = call('HMGET', F(id, n), 'q', 'fd', 'fc', 'fh')
  return {'go', tonumber(n), row[1] or '', num(row[2]), num(row[3]), num(row[4]), call('HGET', J(id), 's'), num(deadline)}
end

if tonumber(state) then
  local f = F(id, state)
  local fst, holder, token, times, mayRepeat, doubtedBeat, doubtedAt = unpack(call('HMGET', f, 'st', 'hd', 'tk', 'fh', 'id', 'sb', 'sa'))
  if fst == 'running' and token == turn then return go(state) end
  if fst == 'running' and holder ~= run then
    -- Whoever fetches it may only have been cut off from here for a while: it is given up once it is silent while we look.
    local beat = call('HGET', B .. ':runs', holder) or ''
    local at = timeNow()
    if beat ~= 'over' then
      if doubtedBeat ~= beat or not doubtedAt then
        call('HSET', f, 'sb', beat, 'sa', at)
        return {'held', num(silence)}
      end
      if at - num(doubtedAt) < num(silence) then return {'held', num(silence) - (at - num(doubtedAt))} end
    end
  end
  if fst == 'running' then
    if mayRepeat == '1' and num(times) < math.max(num(leastInterruptions), num(interruptions)) then
      putOff(id, state, now, 'h', interrupted)
    else
      local problem = mayRepeat == '1' and interrupted or mayBeSent
      call('HSET', f, 'p', problem)
      call('HINCRBY', f, 'tr', 1)
      endFetch(id, state, owner, 'failed', 'running', call('HGET', f, 'ph'), now, string.len(problem))
    end
  end
elseif state == 'z' then
  if num(call('HGET', SUM, 'ln')) > 0 and call('ZCOUNT', B .. ':due:' .. id, '-inf', now) > 0 then
    return {'line', lineUp(id, owner, slot)}
  end
else
  leaveLine(owner)
  local tag = num(string.sub(state, 3))
  if tag > num(call('HGET', SUM, 'v')) then call('HSET', SUM, 'v', tag) end
end

if now >= num(deadline) then failWaiting(id, owner, now, late, string.len(late)) end
local n = call('ZRANGEBYSCORE', B .. ':due:' .. id, '-inf', now, 'LIMIT', 0, 1)[1]
if not n then return after(id, owner, slot, now) end
local f = F(id, n)
local ph = call('HGET', f, 'ph')
call('ZREM', B .. ':due:' .. id, n)
tally(id, 'waiting', ph, -1)
tally(id, 'running', ph, 1)
call('HSET', f, 'st', 'running', 'hd', run, 'tk', turn)
call('HDEL', f, 'na', 'sb', 'sa')
call('HSET', slots, slot, n)
return go(n)
`,
)

/**
 * ARGV: id, slot, turn, now, then `done` HEAD BODY BODYBYTES SIZE (of one that came in pieces BODY is empty), `failed` PROBLEM SIZE, `retry` PHASE AT PROBLEM or `wait` AT. The
 * first end that comes is the one. Returns `lost` when the fetch is not ours any more, or else what BEGIN says of a slot.
 */
export const END = script(
  'cbtorTurnEnd',
  `
local id, slot, turn, now, kind = unpack(ARGV, 1, 5)
now = num(now)
local owner, st = unpack(call('HMGET', J(id), 'o', 'st'))
local n = call('HGET', B .. ':sl:' .. id, slot)
if st ~= 'running' or not n or not tonumber(n) then return {'lost'} end
local f = F(id, n)
local fst, token, ph = unpack(call('HMGET', f, 'st', 'tk', 'ph'))
if fst ~= 'running' or token ~= turn then return {'lost'} end
if kind == 'done' then
  local bytes = num(ARGV[8])
  call('HSET', f, 'h', ARGV[6], 'bb', bytes, 'hb', bytes > 0 and 1 or 0)
  if bytes > 0 then
    if ARGV[7] == '' then
      call('RENAME', B .. ':bp:' .. turn, body(id, n))
      call('PERSIST', body(id, n))
    else
      call('SET', body(id, n), ARGV[7])
    end
    call('ZADD', B .. ':bodies:' .. owner, now, id .. ':' .. n)
  end
  call('HDEL', f, 'p')
  call('HINCRBY', f, 'tr', 1)
  endFetch(id, n, owner, 'done', 'running', ph, now, num(ARGV[9]))
elseif kind == 'failed' then
  call('HSET', f, 'p', ARGV[6])
  call('HINCRBY', f, 'tr', 1)
  endFetch(id, n, owner, 'failed', 'running', ph, now, num(ARGV[7]))
elseif kind == 'retry' then
  putOff(id, n, num(ARGV[7]), ARGV[6], ARGV[8])
else
  putOff(id, n, num(ARGV[6]))
end
return after(id, owner, slot, now)
`,
)

/** ARGV: turn, offset, piece of a sealed body. It is forgotten unless END comes. */
export const PIECE = script(
  'cbtorTurnPiece',
  `
local key = B .. ':bp:' .. ARGV[1]
call('SETRANGE', key, num(ARGV[2]), ARGV[3])
return call('EXPIRE', key, 600)
`,
)

/** ARGV: id, slot, until. The slot's owner is held: it is in line no more. Returns `over` or `sleep` AT. */
export const REST = script(
  'cbtorTurnRest',
  `
local id, slot, at = unpack(ARGV)
local owner, st = unpack(call('HMGET', J(id), 'o', 'st'))
local state = call('HGET', B .. ':sl:' .. id, slot)
if st ~= 'running' or not state then return {'over'} end
if string.sub(state, 1, 2) == 'l:' then
  leaveLine(owner)
  call('HSET', B .. ':sl:' .. id, slot, 'z')
end
return {'sleep', math.min(num(at), num(call('HGET', J(id), 'da')))}
`,
)

/** ARGV: run, then ids of jobs that it fetches for. Returns those that have ended. */
export const BEAT = script(
  'cbtorTurnBeat',
  `
call('HSET', B .. ':runs', ARGV[1], timeNow())
local ended = {}
for n = 2, #ARGV do
  if call('HGET', J(ARGV[n]), 'st') ~= 'running' then table.insert(ended, ARGV[n]) end
end
return ended
`,
)

/** ARGV: run. What it leaves is taken over at once. */
export const LEAVE = script('cbtorTurnLeave', `call('HSET', B .. ':runs', ARGV[1], 'over') return 1`)

/** ARGV: put there so many ms ago at least, how many. Returns units that are to be given to BullMQ, each with its tag and owner. */
export const TO_GIVE = script(
  'cbtorTurnToGive',
  `
local units = {}
for _, unit in ipairs(call('ZRANGEBYSCORE', B .. ':out', '-inf', timeNow() - num(ARGV[1]), 'LIMIT', 0, num(ARGV[2]))) do
  local id, slot = string.match(unit, '^(.*)-(%d+)$')
  local state = call('HGET', B .. ':sl:' .. id, slot)
  if state then
    table.insert(units, {unit, string.match(state, '^l:(%d+)$') or '1', call('HGET', J(id), 'o')})
  else
    call('ZREM', B .. ':out', unit)
  end
end
return units
`,
)

/** ARGV: units that BullMQ has. */
export const GIVEN = script('cbtorTurnGiven', `return call('ZREM', B .. ':out', unpack(ARGV))`)

/** ARGV: how many jobs to pass over, how many to look at. Puts all their units among those that are to be given; returns how many jobs it looked at. */
export const RECHECK = script(
  'cbtorTurnRecheck',
  `
local ids = call('ZRANGE', B .. ':running', num(ARGV[1]), num(ARGV[1]) + num(ARGV[2]) - 1)
for _, id in ipairs(ids) do
  for _, slot in ipairs(call('HKEYS', B .. ':sl:' .. id)) do call('ZADD', B .. ':out', 'NX', 0, id .. '-' .. slot) end
end
return #ids
`,
)

/** ARGV: due before, how many. Ids of jobs whose webhook is due. */
export const HOOKS = script(
  'cbtorTurnHooks',
  `return call('ZRANGEBYSCORE', B .. ':hooks', '-inf', ARGV[1], 'LIMIT', 0, num(ARGV[2]))`,
)

/** ARGV: id, state, tries, next try or empty, outcome (sealed). Nothing happens to one that is not pending. */
export const DELIVERY = script(
  'cbtorTurnDelivery',
  `
local id, state, tries, at, outcome = unpack(ARGV)
if call('HGET', J(id), 'hs') ~= 'pending' then return 0 end
call('HSET', J(id), 'hs', state, 'ht', tries, 'ho', outcome)
if state == 'pending' then
  call('HSET', J(id), 'ha', at)
  call('ZADD', B .. ':hooks', at, id)
else
  call('HDEL', J(id), 'ha')
  call('ZREM', B .. ':hooks', id)
end
return 1
`,
)
