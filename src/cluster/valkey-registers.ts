import type { Json } from '../lib/json.ts'
import type { Random } from '../lib/random.ts'
import type { Seal } from '../lib/seal.ts'
import type { Write } from './lww-registers.ts'
import type { HubPage, HubState, HubTaken, NamedWrite, RegisterHub } from './register-hub.ts'
import type { Script, StoreLink } from './store-link.ts'

/**
 * KEYS: the writes by name (a hash of "STAMP UNTIL SEALED"), the version of each, the end of those that have one, and the state.
 * Who was emptied has lost its epoch with all the rest.
 */
const BEGIN = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSETNX', KEYS[4], 'epoch', ARGV[1])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local epoch = redis.call('HGET', KEYS[4], 'epoch')
local before = tonumber(redis.call('HGET', KEYS[4], 'version') or '0')
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, 100)
for _, name in ipairs(over) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
end
`

/** ARGV: a fresh epoch, the channel, and name, stamp, end and sealed value of each write. */
const PUSH: Script = {
  name: 'registersPush',
  keys: 4,
  lua: `${BEGIN}
local version = before
for i = 3, #ARGV, 4 do
  local name, stamp, ends = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local kept = redis.call('HGET', KEYS[1], name)
  local isNewer = true
  if kept then
    local keptStamp, keptEnds = string.match(kept, '^(%x+) (%S+)')
    isNewer = keptStamp < stamp or (keptEnds ~= '-' and tonumber(keptEnds) <= now)
  end
  if isNewer and (ends == '-' or tonumber(ends) > now) then
    version = version + 1
    redis.call('HSET', KEYS[1], name, stamp .. ' ' .. ends .. ' ' .. ARGV[i + 3])
    redis.call('ZADD', KEYS[2], version, name)
    if ends == '-' then redis.call('ZREM', KEYS[3], name) else redis.call('ZADD', KEYS[3], ends, name) end
  end
end
if version > before then
  redis.call('HSET', KEYS[4], 'version', string.format('%.0f', version))
  redis.call('PUBLISH', ARGV[2], string.format('%.0f', version))
end
return {epoch, run, version, now, before}`,
}

/** ARGV: a fresh epoch, the version, and how many at most. */
const PULL: Script = {
  name: 'registersPull',
  keys: 4,
  lua: `${BEGIN}
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local next = before
if #found == 2 * tonumber(ARGV[3]) then next = tonumber(found[#found]) end
local answer = {epoch, run, before, now, next}
for i = 1, #found, 2 do
  answer[#answer + 1] = found[i]
  answer[#answer + 1] = redis.call('HGET', KEYS[1], found[i])
end
return answer`,
}

export interface ValkeyRegistersOptions {
  readonly link: StoreLink
  readonly seal: Seal
  readonly random: Pick<Random, 'bytes'>
}

/** Registers in Valkey. Names, stamps and ends can be read there; values, and that a register was removed, are sealed. */
export class ValkeyRegisters implements RegisterHub {
  readonly #link: StoreLink
  readonly #seal: Seal
  readonly #random: Pick<Random, 'bytes'>
  readonly #keys: readonly string[]
  readonly #channel: string

  constructor({ link, seal, random }: ValkeyRegistersOptions) {
    this.#link = link
    this.#seal = seal
    this.#random = random
    this.#keys = ['writes', 'versions', 'ends', 'state'].map((part) => link.key(`registers:${part}`))
    this.#channel = link.key('registers:news')
  }

  get isUp(): boolean {
    return this.#link.isUp
  }

  onChange(listener: (isUp: boolean) => void): Disposable {
    return this.#link.onChange(listener)
  }

  async push(writes: readonly NamedWrite[]): Promise<HubTaken> {
    const args = writes.flatMap(([name, write]) => [name, write.stamp, endOf(write), this.#sealed(name, write)])
    const answer = await this.#link.run(PUSH, this.#keys, [this.#fresh(), this.#channel, ...args])
    const [epoch, run, version, now, before] = answer as readonly unknown[]
    return { ...stateOf(epoch, run, version, now), before: Number(before) }
  }

  async pull(since: number, limit: number): Promise<HubPage> {
    const answer = await this.#link.run(PULL, this.#keys, [this.#fresh(), since, limit])
    const [epoch, run, version, now, next, ...rest] = answer as readonly unknown[]
    const writes: NamedWrite[] = []
    for (let i = 0; i < rest.length; i += 2) {
      const write = this.#opened(String(rest[i]), String(rest[i + 1]))
      if (write !== undefined) writes.push([String(rest[i]), write])
    }
    return { ...stateOf(epoch, run, version, now), next: Number(next), writes }
  }

  onNews(listener: (version: number) => void): Disposable {
    return this.#link.subscribe(this.#channel, (message) => listener(Number(message)))
  }

  #fresh(): string {
    return this.#random.bytes(8).toString('hex')
  }

  #sealed(name: string, write: Write): string {
    const text = JSON.stringify(write.value === undefined ? {} : { value: write.value })
    return this.#seal.seal(contextOf(name, write.stamp, endOf(write)), text).toString('base64')
  }

  /** Undefined when it is none of this pool's: then it is as if it were not there. */
  #opened(name: string, kept: string): Write | undefined {
    const [stamp = '', end = '', sealed = ''] = kept.split(' ')
    const text = this.#seal.open(contextOf(name, stamp, end), Buffer.from(sealed, 'base64'))?.toString()
    if (text === undefined) return undefined
    const { value } = JSON.parse(text) as { readonly value?: Json }
    return { stamp, value, until: end === '-' ? undefined : Number(end) }
  }
}

/** Whoever can write to the store can put no old value under a new stamp, nor under another name. */
function contextOf(name: string, stamp: string, end: string): string {
  return `register ${name} ${stamp} ${end}`
}

function stateOf(epoch: unknown, run: unknown, version: unknown, now: unknown): HubState {
  return { epoch: String(epoch), run: String(run), version: Number(version), now: Number(now) }
}

function endOf({ until }: Write): string {
  return until === undefined ? '-' : String(Math.round(until))
}
