import type { Script } from '../../cluster/store-link.ts'
import { COMMON } from './scripts-common.ts'

const script = (name: string, lua: string): Script => ({ name, keys: 1, lua: COMMON + lua })

/**
 * ARGV: id, owner, now, deadline, order (sealed), has a webhook, interruptions, jobs at most, of the owner, bytes at most, slots, the row's
 * bytes, Idempotency-Key (or empty), its digest, keys at most, oldest known; then for each fetch request, view (both sealed), bytes, idempotent.
 * Returns `new`, `old` ID, `reused`, `gone`, `room` BYTES or `full` WHY.
 */
export const ADD = script(
  'cbtorJobAdd',
  `
local id, owner, now, deadline, order, hook, interruptions, most, mostOfOwner, mostBytes, slots, row, key, digest, mostKeys, oldest =
  unpack(ARGV, 1, 16)
local count = (#ARGV - 16) / 4
-- Asked once more, as the first answer was lost.
if call('EXISTS', J(id)) == 1 then return {'new'} end
if key ~= '' then
  local known = call('HGET', B .. ':key:' .. owner, key)
  local at = call('ZSCORE', B .. ':keys:' .. owner, key)
  if known and at and num(at) > num(oldest) then
    local knownDigest, knownId = string.match(known, '^(%S+) (%S+)$')
    if knownDigest ~= digest then return {'reused'} end
    if call('EXISTS', J(knownId)) == 0 then return {'gone'} end
    return {'old', knownId}
  end
end
local ok = B .. ':o:' .. owner
if num(call('HGET', SUM, 'running')) >= num(most) then return {'full', 'jobs'} end
if num(call('HGET', ok, 'rn')) >= num(mostOfOwner) then return {'full', 'own'} end
if key ~= '' and call('ZCARD', B .. ':keys:' .. owner) >= num(mostKeys) then return {'full', 'keys'} end
local bytes = num(row)
for n = 0, count - 1 do bytes = bytes + num(row) + num(ARGV[16 + n * 4 + 3]) end
if num(call('HGET', SUM, 'bytes')) + bytes > num(mostBytes) then return {'room', bytes} end

local seq = call('HINCRBY', SUM, 'seq', 1)
call('HSET', J(id), 'o', owner, 'q', seq, 'st', 'running', 'ca', now, 'da', deadline, 'n', count, 'ir', interruptions, 's', order,
  'w0', count, 'hk', hook, 'hs', 'idle', 'ht', 0, 'by', row)
for n = 0, count - 1 do
  local at = 16 + n * 4
  call('HSET', F(id, n), 'st', 'waiting', 'ph', '0', 'tr', 0, 'na', now, 'q', ARGV[at + 1], 'v', ARGV[at + 2], 'sz', ARGV[at + 3], 'rw', row,
    'id', ARGV[at + 4])
  call('ZADD', B .. ':due:' .. id, now, n)
end
call('ZADD', B .. ':ids', seq, id)
call('ZADD', B .. ':ids:' .. owner, seq, id)
call('ZADD', B .. ':running', deadline, id)
call('HINCRBY', SUM, 'running', 1)
call('HINCRBY', ok, 'rn', 1)
grow(owner, bytes)
if key ~= '' then
  call('ZADD', B .. ':keys:' .. owner, now, key)
  call('HSET', B .. ':key:' .. owner, key, digest .. ' ' .. id)
end
for slot = 0, math.min(num(slots), count) - 1 do
  lineUp(id, owner, slot)
  call('ZADD', B .. ':out', timeNow(), id .. '-' .. slot)
end
return {'new'}
`,
)

/** ARGV: owner, key, oldest known. Returns digest and id, or nothing. */
export const ORDERED = script(
  'cbtorJobOrdered',
  `
local known = call('HGET', B .. ':key:' .. ARGV[1], ARGV[2])
local at = call('ZSCORE', B .. ':keys:' .. ARGV[1], ARGV[2])
if not known or not at or num(at) <= num(ARGV[3]) then return {} end
local digest, id = string.match(known, '^(%S+) (%S+)$')
return {digest, id}
`,
)

const VIEW = `
local function view(id)
  local job = call('HGETALL', J(id))
  if #job == 0 then return false end
  local first = call('ZRANGE', B .. ':due:' .. id, 0, 0, 'WITHSCORES')
  table.insert(job, 'id')
  table.insert(job, id)
  table.insert(job, 'na')
  table.insert(job, first[2] or '')
  return job
end
`

/** ARGV: id. Returns names and values of the job's fields, `id`, and `na`, when the first that waits is due. */
export const SHOW = script('cbtorJobShow', `${VIEW} return view(ARGV[1])`)

/** ARGV: owner or empty for all, number before which, how many. Returns jobs as SHOW does, one more than asked for if there is one. */
export const LIST = script(
  'cbtorJobList',
  `${VIEW}
local set = ARGV[1] == '' and B .. ':ids' or B .. ':ids:' .. ARGV[1]
local jobs = {}
for _, id in ipairs(call('ZREVRANGEBYSCORE', set, '(' .. ARGV[2], '-inf', 'LIMIT', 0, num(ARGV[3]) + 1)) do
  local job = view(id)
  if job then table.insert(jobs, job) end
end
return jobs
`,
)

/** ARGV: id, from, how many, bytes of a body at most (-1: any). Returns for each its fields in the order of `FETCH_FIELDS`. */
export const RESULTS = script(
  'cbtorJobResults',
  `
local id, from, limit, most = ARGV[1], num(ARGV[2]), num(ARGV[3]), num(ARGV[4])
local found = {}
for n = from, math.min(from + limit, num(call('HGET', J(id), 'n'))) - 1 do
  local f = F(id, n)
  local row = call('HMGET', f, 'st', 'ph', 'tr', 'na', 'ea', 'bb', 'hb', 'v', 'p', 'h')
  row[11] = ''
  if row[7] == '1' and (most < 0 or num(row[6]) <= most) then row[11] = call('GET', body(id, n)) or '' end
  for n = 1, 11 do row[n] = row[n] or '' end
  table.insert(found, row)
end
return found
`,
)

/** ARGV: id, now. Cancels all that has not ended; whoever fetches for it is told. */
export const CANCEL = script(
  'cbtorJobCancel',
  `
local id, now = ARGV[1], ARGV[2]
local owner, st = unpack(call('HMGET', J(id), 'o', 'st'))
if st ~= 'running' then return 0 end
for _, n in ipairs(call('ZRANGE', B .. ':due:' .. id, 0, -1)) do
  local f = F(id, n)
  endFetch(id, n, owner, 'cancelled', 'waiting', call('HGET', f, 'ph'), now, string.len(call('HGET', f, 'p') or ''))
end
for _, value in ipairs(call('HVALS', B .. ':sl:' .. id)) do
  if tonumber(value) then
    local f = F(id, value)
    if call('HGET', f, 'st') == 'running' then
      endFetch(id, value, owner, 'cancelled', 'running', call('HGET', f, 'ph'), now, string.len(call('HGET', f, 'p') or ''))
    end
  end
end
endJob(id, owner, 'cancelled', now)
call('PUBLISH', B .. ':stop', 'ended ' .. id)
return 1
`,
)

/** ARGV: id, and 1 if also one that has not ended. Returns 0 when it has not and may not. */
export const REMOVE = script(
  'cbtorJobRemove',
  `
if ARGV[2] ~= '1' and call('HGET', J(ARGV[1]), 'st') == 'running' then return 0 end
drop(ARGV[1])
return 1
`,
)

/** ARGV: bytes that are wanted to be kept at most, how many removals. Returns what is kept, and whether there was anything left to remove. */
export const MAKE_ROOM = script(
  'cbtorJobRoom',
  `
local function removeSome()
  local owners = call('ZREVRANGE', B .. ':owners', 0, -1)
  for _, owner in ipairs(owners) do
    local found = call('ZPOPMIN', B .. ':bodies:' .. owner, 16)
    for n = 1, #found, 2 do
      local id, number = string.match(found[n], '^(.*):(%d+)$')
      local f = F(id, number)
      local bytes = num(call('HGET', f, 'bb'))
      call('DEL', body(id, number))
      call('HSET', f, 'hb', 0)
      call('HINCRBY', f, 'sz', -bytes)
      grow(owner, -bytes)
    end
    if #found > 0 then return true end
  end
  for _, owner in ipairs(owners) do
    local id = call('ZRANGE', B .. ':ended:' .. owner, 0, 0)[1]
    if id then
      drop(id)
      return true
    end
  end
  return false
end
local left = true
for _ = 1, num(ARGV[2]) do
  if not left or num(call('HGET', SUM, 'bytes')) <= num(ARGV[1]) then break end
  left = removeSome()
end
return {num(call('HGET', SUM, 'bytes')), left and 1 or 0}
`,
)

/** ARGV: ended before, ordered before, for how long runs have been silent (ms). Some at a time; returns how many jobs went. */
export const SWEEP = script(
  'cbtorJobSweep',
  `
local ids = call('ZRANGEBYSCORE', B .. ':ended', '-inf', '(' .. ARGV[1], 'LIMIT', 0, 20)
for _, id in ipairs(ids) do drop(id) end
for _, owner in ipairs(call('ZRANGE', B .. ':owners', 0, -1)) do
  for _, key in ipairs(call('ZRANGEBYSCORE', B .. ':keys:' .. owner, '-inf', '(' .. ARGV[2], 'LIMIT', 0, 1000)) do
    call('ZREM', B .. ':keys:' .. owner, key)
    call('HDEL', B .. ':key:' .. owner, key)
  end
end
local runs = call('HGETALL', B .. ':runs')
for n = 1, #runs, 2 do
  if num(runs[n + 1]) < timeNow() - num(ARGV[3]) then call('HDEL', B .. ':runs', runs[n]) end
end
return #ids
`,
)

/** Returns jobs that run, are done, are cancelled, and bytes; then the owners. */
export const SUMS = script(
  'cbtorJobSums',
  `
local sums = call('HMGET', SUM, 'running', 'done', 'cancelled', 'bytes')
for n = 1, 4 do sums[n] = num(sums[n]) end
return {sums, call('ZRANGE', B .. ':owners', 0, -1)}
`,
)
