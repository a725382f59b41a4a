import type { LeaseEntry, LeaseRequest } from './lease-plan.ts'
import type { Script, StoreArgument } from './store-link.ts'

/** How long a lease lasts in the store. */
export const LEASE_MS = 6_000
/** When nobody has asked for so long, or the store's clock went back, it may have been set, and what was written last may be lost. */
export const GAP_MS = 3_000
/** Who waits for a lease says so again and again; after this it does not wait any more. */
export const WANTED_MS = 5_000
/** What nobody has had for so long is of a worker that is none any more. */
export const FORGOTTEN_MS = 86_400_000

/**
 * All leases of a cluster: fields of one hash. Of a worker: `token|expires|run|wanter|wantedAt|demanded`; of the whole, `@`:
 * `seen|since|last`, the time of the latest call, the time since when the hash is known to be whole, and the highest token.
 * Instants are epoch milliseconds of the store's own clock.
 *
 * That clock may be set and the store may lose what it was told last, and in neither case may two have a lease. So after a gap all
 * leases last anew, and none of which nothing is known is given away before one could have run out; who holds one says so, and gets
 * it back. Tokens follow the time: also a store that lost everything gives higher ones than before.
 */
export const LEASES: Script = {
  name: 'cbtorLeases',
  keys: 1,
  lua: `
local me, lease = ARGV[1], ${LEASE_MS}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

local leases, order, dirty = {}, {}, {}
local seen, since, last
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i] == '@' then
    seen, since, last = string.match(fields[i + 1], '^(%d+)|(%d+)|(%d+)$')
  else
    local token, expires, run, wanter, wantedAt, demanded =
      string.match(fields[i + 1], '^(%d+)|(%d+)|([^|]*)|([^|]*)|(%d+)|([01])$')
    if token then
      leases[fields[i]] = {
        token = tonumber(token), expires = tonumber(expires), run = run,
        wanter = wanter, wantedAt = tonumber(wantedAt), demanded = demanded,
      }
      order[#order + 1] = fields[i]
    end
  end
end
seen, since, last = tonumber(seen), tonumber(since), tonumber(last) or 0
if not seen or now < seen or now - seen > ${GAP_MS} then
  since = now
  for worker, it in pairs(leases) do
    if it.run ~= '' then
      it.expires = now + lease
      dirty[worker] = true
    end
    if it.wantedAt > now then it.wantedAt = now end
  end
end

local function wanted(it) return it.wanter ~= '' and it.wanter ~= it.run and now - it.wantedAt <= ${WANTED_MS} end
local function give(it, run)
  last = math.max(last + 1, now)
  it.token, it.run, it.expires = last, run, now + lease
  if it.wanter == run then it.wanter = '' end
end

for i = 2, #ARGV, 3 do
  local what, worker, token = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local it = leases[worker]
  local isKnown = it ~= nil and it.token > 0
  if not it then
    it = { token = 0, expires = 0, run = '', wanter = '', wantedAt = 0, demanded = '0' }
    leases[worker] = it
    order[#order + 1] = worker
  end
  dirty[worker] = true
  if what == 'renew' then
    if it.token < token or (it.token == token and it.run == me) then
      it.token, it.run, it.expires = token, me, now + lease
      last = math.max(last, token)
    end
  elseif what == 'release' then
    if it.run == me and it.token == token then
      if wanted(it) then give(it, it.wanter) else it.run = '' end
    end
  elseif it.run == me then
    give(it, me)
  elseif (it.run == '' or it.expires <= now) and (isKnown or now >= since + lease) then
    give(it, me)
  elseif what == 'seize' or (what == 'claim' and not (wanted(it) and it.demanded == '1')) then
    it.wanter, it.wantedAt, it.demanded = me, now, what == 'seize' and '1' or '0'
  end
end

local answer, set, gone = {}, { '@', text(now) .. '|' .. text(since) .. '|' .. text(last) }, {}
for _, worker in ipairs(order) do
  local it = leases[worker]
  if now - it.expires > ${FORGOTTEN_MS} and not wanted(it) then
    gone[#gone + 1] = worker
  else
    if dirty[worker] then
      set[#set + 1] = worker
      set[#set + 1] = text(it.token) .. '|' .. text(it.expires) .. '|' .. it.run .. '|' .. it.wanter .. '|'
        .. text(it.wantedAt) .. '|' .. it.demanded
    end
    local waits = wanted(it)
    answer[#answer + 1] = worker
    answer[#answer + 1] = text(it.token)
    answer[#answer + 1] = it.run
    answer[#answer + 1] = text(it.expires - now)
    answer[#answer + 1] = waits and it.wanter or ''
    answer[#answer + 1] = waits and it.demanded or '0'
  end
end
for i = 1, #set, 1000 do redis.call('HSET', KEYS[1], unpack(set, i, math.min(i + 999, #set))) end
for i = 1, #gone, 1000 do redis.call('HDEL', KEYS[1], unpack(gone, i, math.min(i + 999, #gone))) end
return answer`,
}

export function argumentsOf(run: string, requests: readonly LeaseRequest[]): readonly StoreArgument[] {
  const words: StoreArgument[] = [run]
  for (const request of requests) words.push(request.type, request.worker, 'token' in request ? request.token : 0)
  return words
}

const FIELDS = 6

/** Of an answer of the script. Throws a `TypeError` when it is none. */
export function entriesOf(answer: unknown): readonly LeaseEntry[] {
  if (!Array.isArray(answer) || answer.length % FIELDS !== 0) throw new TypeError('The store has answered no leases')
  const entries: LeaseEntry[] = []
  for (let i = 0; i < answer.length; i += FIELDS) {
    const [worker = '', token, run = '', left, wanter = '', demanded] = answer.slice(i, i + FIELDS).map(String)
    entries.push({ worker, token: Number(token), run, leftMs: Number(left), wanter, isDemanded: demanded === '1' })
  }
  return entries
}
