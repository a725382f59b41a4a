import { FORGOTTEN_MS, GAP_MS, LEASE_MS, LEASES, WANTED_MS } from './lease-script.ts'
import type { MemoryScript } from './memory-link.ts'

interface Lease {
  token: number
  expires: number
  run: string
  wanter: string
  wantedAt: number
  isDemanded: boolean
}

/** The script of `lease-script.ts` line by line, for a `MemoryStore`. `isLost` says, once each time, that everything was lost. */
export function memoryLeases(isLost: () => boolean = () => false): readonly [name: string, script: MemoryScript] {
  let leases = new Map<string, Lease>()
  let seen: number | undefined
  let since = 0
  let last = 0

  return [
    LEASES.name,
    (_, [me = '', ...words], now) => {
      if (isLost()) {
        leases = new Map()
        seen = undefined
        last = 0
      }
      if (seen === undefined || now < seen || now - seen > GAP_MS) {
        since = now
        for (const it of leases.values()) {
          if (it.run !== '') it.expires = now + LEASE_MS
          it.wantedAt = Math.min(it.wantedAt, now)
        }
      }
      seen = now

      const isWanted = (it: Lease) => it.wanter !== '' && it.wanter !== it.run && now - it.wantedAt <= WANTED_MS
      const give = (it: Lease, run: string) => {
        last = Math.max(last + 1, now)
        Object.assign(it, { token: last, run, expires: now + LEASE_MS })
        if (it.wanter === run) it.wanter = ''
      }
      for (let i = 0; i < words.length; i += 3) {
        const [what, worker = '', token] = [words[i], words[i + 1], Number(words[i + 2])]
        const it = leases.get(worker) ?? { token: 0, expires: 0, run: '', wanter: '', wantedAt: 0, isDemanded: false }
        const isKnown = it.token > 0
        leases.set(worker, it)
        if (what === 'renew') {
          if (!(it.token < token || (it.token === token && it.run === me))) continue
          Object.assign(it, { token, run: me, expires: now + LEASE_MS })
          last = Math.max(last, token)
        } else if (what === 'release') {
          if (it.run !== me || it.token !== token) continue
          if (isWanted(it)) give(it, it.wanter)
          else it.run = ''
        } else if (it.run === me) {
          give(it, me)
        } else if ((it.run === '' || it.expires <= now) && (isKnown || now >= since + LEASE_MS)) {
          give(it, me)
        } else if (what === 'seize' || (what === 'claim' && !(isWanted(it) && it.isDemanded))) {
          Object.assign(it, { wanter: me, wantedAt: now, isDemanded: what === 'seize' })
        }
      }
      for (const [worker, it] of leases) {
        if (now - it.expires > FORGOTTEN_MS && !isWanted(it)) leases.delete(worker)
      }
      return [...leases].flatMap(([worker, it]) => {
        const waits = isWanted(it)
        const demanded = waits && it.isDemanded ? '1' : '0'
        return [worker, `${it.token}`, it.run, `${it.expires - now}`, waits ? it.wanter : '', demanded]
      })
    },
  ]
}
