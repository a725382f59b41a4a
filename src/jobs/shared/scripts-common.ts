/**
 * What the scripts of jobs share. All begin with `KEYS[1]`, the name that all keys of jobs begin with (one hash slot):
 *
 * - `:j:ID` hash, a job: `o` owner, `q` its number, `st`, `ca`, `ea`, `da` created, ended and due by (epoch ms), `n` fetches, `ir` how
 *   many interruptions a fetch may have, `s` what was ordered (sealed), `w0 wd wc wh` and `r0 rd rc rh` waiting and running by phase, `dn fl
 *   cn` done, failed, cancelled, `hk` has a webhook, `hs ht ha ho` its state, tries, next try, outcome (sealed), `sl` slots that are left
 * - `:f:ID:N` hash, a fetch: `st`, `ph` phase (`0dch`), `tr` tries, `na` next try, `ea`, `fd fc fh` failures by phase, `id` idempotent, `sz`
 *   bytes, `bb` of its body, `hb` whether that is kept; sealed: `q` request, `v` what is shown of it, `p` problem, `h` answer;
 *   while it runs `hd` the run of the replica, `tk` the turn, `sb sa` that run's beat when it was doubted and when that was
 * - `:b:ID:N` its body, sealed; `:bp:TURN` the pieces of one that is on its way
 * - `:due:ID` sorted set of the fetches that wait, by when they are due
 * - `:sl:ID` hash of slots: `l:TAG` in line, `z` asleep, or the number of the fetch that runs
 * - `:o:OWNER` hash: `rn` jobs that run, `ln` slots in line, `tg` the last tag, `ep` of which epoch
 * - `:sum` hash: `running done cancelled` jobs, `bytes`, `seq`, `ln` slots in line, `v` virtual time, `ep` epoch
 * - `:ids`, `:ids:OWNER` sorted sets of jobs by number; `:running` by deadline; `:ended`, `:ended:OWNER` by end; `:hooks` by next try
 * - `:owners` sorted set by bytes; `:bodies:OWNER` sorted set of kept bodies by end
 * - `:keys:OWNER`, `:key:OWNER` the Idempotency-Keys (hashed) by time, and what they stand for
 * - `:out` sorted set of units that are to be given to BullMQ, by when that was (the store's time); `:runs` hash of the beats of replicas (its time, too)
 */
export const COMMON = `
local B = KEYS[1]
local call = redis.call
local SUM = B .. ':sum'
local FAILURES = {d = 'fd', c = 'fc', h = 'fh'}
-- BullMQ takes priorities up to 2097152. A line that was not empty for so long goes on as first come, first served.
local MAX_TAG = 2000000

local function J(id) return B .. ':j:' .. id end
local function F(id, n) return B .. ':f:' .. id .. ':' .. n end
local function body(id, n) return B .. ':b:' .. id .. ':' .. n end
local function num(value) return tonumber(value or 0) or 0 end

local function grow(owner, bytes)
  if bytes == 0 then return end
  call('ZINCRBY', B .. ':owners', bytes, owner)
  call('HINCRBY', SUM, 'bytes', bytes)
end

local function timeNow()
  local time = call('TIME')
  return num(time[1]) * 1000 + math.floor(num(time[2]) / 1000)
end

-- Puts a slot in line: start-time fair queueing by owner. Returns its tag, from 1 on: the lower, the sooner.
local function lineUp(id, owner, slot)
  local ok = B .. ':o:' .. owner
  local all = num(call('HGET', SUM, 'ln'))
  if all <= 0 then
    call('HINCRBY', SUM, 'ep', 1)
    call('HSET', SUM, 'ln', 0, 'v', 1)
    all = 0
  end
  local epoch = call('HGET', SUM, 'ep')
  local v = num(call('HGET', SUM, 'v'))
  local mine, last, mineEpoch = unpack(call('HMGET', ok, 'ln', 'tg', 'ep'))
  if mineEpoch ~= epoch then mine = 0; last = v - 1 end
  local tag = math.min(MAX_TAG, math.max(v, num(last) + 1))
  call('HSET', ok, 'tg', tag, 'ep', epoch, 'ln', num(mine) + 1)
  call('HINCRBY', SUM, 'ln', 1)
  call('HSET', B .. ':sl:' .. id, slot, 'l:' .. tag)
  return tag
end

-- A slot is in line no more.
local function leaveLine(owner)
  local ok = B .. ':o:' .. owner
  if call('HGET', ok, 'ep') == call('HGET', SUM, 'ep') and num(call('HGET', ok, 'ln')) > 0 then call('HINCRBY', ok, 'ln', -1) end
  if num(call('HGET', SUM, 'ln')) > 0 then call('HINCRBY', SUM, 'ln', -1) end
end

local function tally(id, st, ph, by)
  local letter = st == 'waiting' and 'w' or 'r'
  call('HINCRBY', J(id), letter .. ph, by)
end

-- The fetch has ended: size is what is kept of it from now on.
local function endFetch(id, n, owner, st, was, ph, now, size)
  local f = F(id, n)
  tally(id, was, ph, -1)
  call('HINCRBY', J(id), st == 'done' and 'dn' or st == 'failed' and 'fl' or 'cn', 1)
  grow(owner, size - num(call('HGET', f, 'sz')))
  call('HSET', f, 'st', st, 'ea', now, 'sz', size)
  call('HDEL', f, 'q', 'na', 'hd', 'tk', 'sb', 'sa')
  call('ZREM', B .. ':due:' .. id, n)
end

local function endJob(id, owner, st, now)
  call('HSET', J(id), 'st', st, 'ea', now)
  call('ZREM', B .. ':running', id)
  call('ZADD', B .. ':ended', now, id)
  call('ZADD', B .. ':ended:' .. owner, now, id)
  call('HINCRBY', SUM, 'running', -1)
  call('HINCRBY', SUM, st, 1)
  call('HINCRBY', B .. ':o:' .. owner, 'rn', -1)
  local slots = call('HVALS', B .. ':sl:' .. id)
  for _, value in ipairs(slots) do
    if string.sub(value, 1, 2) == 'l:' then leaveLine(owner) end
  end
  call('DEL', B .. ':sl:' .. id, B .. ':due:' .. id)
  if call('HGET', J(id), 'hk') == '1' then
    call('HSET', J(id), 'hs', 'pending', 'ht', 0, 'ha', now)
    call('ZADD', B .. ':hooks', now, id)
  end
end

-- All that wait have failed, for the reason of their last failure, or else for this one.
local function failWaiting(id, owner, now, problem, size)
  for _, n in ipairs(call('ZRANGE', B .. ':due:' .. id, 0, -1)) do
    local f = F(id, n)
    local kept = call('HGET', f, 'p')
    if not kept then call('HSET', f, 'p', problem) end
    endFetch(id, n, owner, 'failed', 'waiting', call('HGET', f, 'ph'), now, kept and string.len(kept) or num(size))
  end
end

-- Back to waiting. ph: it counts as a try that failed in this phase.
local function putOff(id, n, at, ph, problem)
  local f = F(id, n)
  local was = call('HGET', f, 'ph')
  tally(id, 'running', was, -1)
  tally(id, 'waiting', ph or was, 1)
  call('HSET', f, 'st', 'waiting', 'na', at)
  if ph then
    call('HSET', f, 'ph', ph)
    call('HINCRBY', f, 'tr', 1)
    call('HINCRBY', f, FAILURES[ph], 1)
    if problem and problem ~= '' then call('HSET', f, 'p', problem) end
  end
  call('HDEL', f, 'hd', 'tk', 'sb', 'sa')
  call('ZADD', B .. ':due:' .. id, at, n)
end

-- What becomes of a slot that has nothing to do just now: over, in line, or asleep.
local function after(id, owner, slot, now)
  local waiting = call('ZCARD', B .. ':due:' .. id)
  local running = 0
  for _, value in ipairs(call('HMGET', J(id), 'r0', 'rd', 'rc', 'rh')) do running = running + num(value) end
  if waiting == 0 and running == 0 then
    endJob(id, owner, 'done', now)
    return {'ended'}
  end
  local slots = B .. ':sl:' .. id
  if call('HLEN', slots) > waiting + running then
    call('HDEL', slots, slot)
    return {'over'}
  end
  local at = num(call('HGET', J(id), 'da'))
  local first = call('ZRANGE', B .. ':due:' .. id, 0, 0, 'WITHSCORES')
  if first[2] then at = math.min(at, num(first[2])) end
  if at <= now then return {'line', lineUp(id, owner, slot)} end
  call('HSET', slots, slot, 'z')
  return {'sleep', at}
end

local function drop(id)
  local j = J(id)
  local owner, st, count = unpack(call('HMGET', j, 'o', 'st', 'n'))
  if not owner then return end
  if st == 'running' then endJob(id, owner, 'cancelled', 0) st = 'cancelled' end
  local freed = num(call('HGET', j, 'by'))
  for n = 0, num(count) - 1 do
    freed = freed + num(call('HGET', F(id, n), 'sz')) + num(call('HGET', F(id, n), 'rw'))
    call('DEL', F(id, n), body(id, n))
    call('ZREM', B .. ':bodies:' .. owner, id .. ':' .. n)
  end
  call('HINCRBY', SUM, st, -1)
  call('ZREM', B .. ':ids', id)
  call('ZREM', B .. ':ids:' .. owner, id)
  call('ZREM', B .. ':ended', id)
  call('ZREM', B .. ':ended:' .. owner, id)
  call('ZREM', B .. ':hooks', id)
  call('DEL', j, B .. ':due:' .. id, B .. ':sl:' .. id)
  grow(owner, -freed)
  if call('ZCARD', B .. ':ids:' .. owner) == 0 and call('ZCARD', B .. ':keys:' .. owner) == 0 then
    call('ZREM', B .. ':owners', owner)
    call('DEL', B .. ':o:' .. owner)
  end
  call('PUBLISH', B .. ':stop', 'gone ' .. id)
end
`
