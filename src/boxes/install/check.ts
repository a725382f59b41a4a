import type { Clock } from '../../lib/clock.ts'
import { type BoxFile, splitEndpoint } from '../box-file.ts'
import { readPayload } from '../payload.ts'
import type { BoxShell } from '../remote/box-shell.ts'
import { findSection } from '../uci-text.ts'
import { wireguardPublicKey } from '../wireguard-keys.ts'
import { type BoxFacts, readFacts } from './facts.ts'
import { type Journal, readJournal } from './journal.ts'
import { obstacles } from './obstacles.ts'
import { stepsOf } from './plan.ts'
import { type Finding, finding, judgeRunning, type Running, readRunning } from './running.ts'

/** A health check runs once a minute and may take a while. */
const HEALTH_STALE_S = 150

export interface CheckRequest {
  readonly boxFile: BoxFile
  readonly payloadDirectory?: string
  readonly clock: Clock
}

/** What is right and wrong on a box. Changes nothing. */
export async function checkBox(box: BoxShell, request: CheckRequest): Promise<readonly Finding[]> {
  const { boxFile, clock } = request
  const { id, tunnel } = boxFile
  const facts = await readFacts(box)
  const install = `Install it: cbtor workers install ${boxFile.ssh.host}`
  const upgrade = `Put it right: cbtor workers upgrade ${id}`
  const findings = [
    finding('openwrt', facts.release !== undefined, facts.release ?? 'is no OpenWrt', 'Use an OpenWrt box'),
  ]
  if (facts.release === undefined) return findings

  const earlier = await readJournal(box)
  const wanted = { tunnel: tunnel.n, hostPublicKey: wireguardPublicKey(tunnel.privateKey) }
  findings.push(judgeJournal(earlier?.journal, boxFile, wanted.hostPublicKey, install))
  const nowS = Math.floor(clock.now() / 1_000)
  const found = obstacles(facts, earlier?.journal, { tunnel: tunnel.n, nowS })
  findings.push(
    finding('surroundings', found.length === 0, found.length === 0 ? 'fit' : 'do not fit', found.join('. ')),
  )
  if (!earlier) return findings

  const [hostAddress, hostPort] = splitEndpoint(tunnel.hostEndpoint)
  const boxPrivateKey = findSection(facts.configs.get('/etc/config/network') ?? '', 'wg0')?.options.get('private_key')
  const values = {
    tunnel: tunnel.n,
    boxPrivateKey: typeof boxPrivateKey === 'string' ? boxPrivateKey : '',
    hostPublicKey: wanted.hostPublicKey,
    hostAddress,
    hostPort,
  }
  const payload = readPayload(values, request.payloadDirectory)
  findings.push(
    finding(
      'version',
      earlier.journal.now.payload === payload.version,
      earlier.journal.now.payload === payload.version
        ? payload.version
        : `${earlier.journal.now.payload}, and this CBTOR has ${payload.version}`,
      upgrade,
    ),
  )
  for (const { name, look } of stepsOf(facts, earlier.journal, payload, wanted)) {
    if (name === 'services' || name === 'verification') continue
    const changes = await look(box)
    findings.push(
      finding(
        name,
        changes.length === 0,
        changes.length === 0 ? 'as installed' : `not as it is to be: ${changes.join('; ')}`,
        upgrade,
      ),
    )
  }
  const running = await readRunning(box)
  findings.push(...judgeRunning(running, wanted))
  findings.push(judgeKey(boxPrivateKey, boxFile, upgrade), judgeHealth(running, facts))
  return findings
}

function judgeJournal(journal: Journal | undefined, boxFile: BoxFile, hostPublicKey: string, install: string): Finding {
  const { id, tunnel } = boxFile
  if (!journal) return finding('installation', false, 'nothing of CBTOR is on it', install)
  const { now, state } = journal
  if (state === 'installing')
    return finding('installation', false, 'was cut off', `Let it end: cbtor workers install ${boxFile.ssh.host}`)
  if (state === 'uninstalling')
    return finding('installation', false, 'is half taken away', `Let it end: cbtor workers uninstall ${id}`)
  const isOurs = now.id === id && now.n === tunnel.n && now.host_key === hostPublicKey
  return finding(
    'installation',
    isOurs,
    isOurs ? `${id}, tunnel ${tunnel.n}` : `it is worker ${now.id}, tunnel ${now.n}, of another gateway`,
    `Take it away and install it anew: cbtor workers uninstall ${id}`,
  )
}

function judgeKey(boxPrivateKey: unknown, { tunnel }: BoxFile, upgrade: string): Finding {
  let isSame = false
  try {
    isSame = typeof boxPrivateKey === 'string' && wireguardPublicKey(boxPrivateKey) === tunnel.boxPublicKey
  } catch {
    // What stands there is no key.
  }
  return finding('tunnel key', isSame, isSame ? 'is the one that this gateway knows' : 'is another one', upgrade)
}

function judgeHealth({ health, ageS: boxAgeS }: Running, { clockS }: BoxFacts): Finding {
  const mend = 'See /var/log/tor-health.log on the box; it runs each minute by cron'
  const checked = Number(health.get('checked'))
  if (!Number.isFinite(checked) || checked === 0)
    return finding('health', boxAgeS < HEALTH_STALE_S, 'the health check has not run yet; it does each minute', mend)
  const ageS = clockS - checked
  const reason = health.get('reason')
  const state = `${health.get('state') ?? 'unknown'}${reason ? ` (${reason})` : ''}, ${ageS} s ago`
  if (ageS > HEALTH_STALE_S) return finding('health', false, `the health check hangs: ${state}`, mend)
  return finding('health', health.get('state') === 'HEALTHY', state, mend)
}
