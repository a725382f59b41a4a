/** What the doctor makes of what it has seen: good states, and each bad one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseIsoTime } from '../lib/iso-time.ts'
import { checkSystemClock, judgeClockSkew, judgeConsensus } from './clock.ts'
import { judgeEgress } from './egress.ts'
import type { Finding } from './finding.ts'
import { judgeGeoip, judgeGuards } from './guards.ts'
import { judgeIsolation } from './isolation.ts'
import { checkNode } from './node-version.ts'
import { judgeProblems } from './service.ts'
import { judgeBoxListeners, judgeExternalListeners, judgeLocalListeners, type TorListeners } from './tor-listeners.ts'
import { judgeSettings, type SettingsOf } from './tor-settings.ts'
import { checkTorProgram, judgeTorVersion } from './tor-version.ts'

const never = new AbortController().signal
const NOON = parseIsoTime('2026-06-01T12:00:00.000Z')
const HOUR = 3_600_000

describe('programs', () => {
  it('are told by their versions', async () => {
    assert.equal(checkNode('24.0.0').verdict, 'ok')
    assert.equal(checkNode('20.20.2').verdict, 'wrong')
    const verdicts = {
      '0.4.8.1': 'ok',
      '0.4.9.11': 'ok',
      '0.5.0.1-alpha-dev': 'ok',
      '1.0.0': 'ok',
      '0.4.7.16': 'wrong',
    }
    for (const [version, verdict] of Object.entries({ ...verdicts, '0.3.5.8': 'wrong', tor: 'warning' }))
      assert.equal(judgeTorVersion('tor', version, 'runs').verdict, verdict, version)
    assert.equal(judgeTorVersion('tor', undefined, 'runs').verdict, 'unchecked')
  })

  it('are run to be asked, and may not be there', async () => {
    const command = ['nsenter', '--net=/run/netns/lab', 'tor']
    const seen = await checkTorProgram(
      command,
      async (asked) => {
        assert.deepEqual(asked, [...command, '--version'])
        return 'Tor version 0.4.9.11.\nThis build of Tor is covered by the GNU General Public License\n'
      },
      never,
    )
    assert.deepEqual([seen.verdict, seen.text], ['ok', `0.4.9.11 of "nsenter --net=/run/netns/lab tor"`])
    const missing = await checkTorProgram(['tor'], () => Promise.reject(new Error('spawn tor ENOENT')), never)
    assert.equal(missing.verdict, 'wrong')
    assert.match(missing.text, /"tor" cannot be run: spawn tor ENOENT/)
    assert.match(missing.mend ?? '', /apt-get install tor/)
    assert.equal((await checkTorProgram(['true'], async () => '', never)).verdict, 'unchecked')
  })
})

describe('clocks', () => {
  it('are wrong when they were never set, or Tor sees a skew', () => {
    assert.equal(checkSystemClock(NOON).verdict, 'ok')
    assert.equal(checkSystemClock(0).verdict, 'wrong')
    assert.equal(checkSystemClock(parseIsoTime('2100-01-01T00:00:00.000Z')).verdict, 'wrong')
    assert.equal(judgeClockSkew('clock', undefined).verdict, 'ok')
    assert.equal(judgeClockSkew('clock', -30).verdict, 'ok')
    assert.match(judgeClockSkew('clock', -3_600).text, /3600 s behind/)
    assert.match(judgeClockSkew('clock', 3_600).text, /3600 s ahead/)
  })

  it('are held against the consensus', () => {
    const judge = (after: number, until: number) =>
      judgeConsensus('consensus', { validAfter: NOON + after * HOUR, validUntil: NOON + until * HOUR }, NOON)
    assert.deepEqual(
      [judge(-1, 2), judge(-4, -1), judge(-30, -27), judge(1, 4)].map(({ verdict }) => verdict),
      ['ok', 'warning', 'wrong', 'wrong'],
    )
    assert.match(judge(-1, 2).text, /60 minutes old/)
    assert.match(judge(1, 4).text, /future/)
    assert.equal(judgeConsensus('consensus', undefined, NOON).verdict, 'wrong')
  })
})

describe('a Tor', () => {
  it('keeps identities apart by what its stream says, or does not', () => {
    assert.equal(judgeIsolation('isolation', []).verdict, 'ok')
    const { verdict, text, mend } = judgeIsolation('isolation', ['SOCKS_USERNAME', 'SOCKS_PASSWORD'])
    assert.equal(verdict, 'wrong')
    assert.match(text, /not kept apart by SOCKS_USERNAME and SOCKS_PASSWORD/)
    assert.match(mend ?? '', /NoIsolateSOCKSAuth/)
  })

  it('has guards that are up, and countries', () => {
    const verdicts = [['up', 'down'], ['never-connected'], [], ['down', 'unlisted']].map(
      (statuses) => judgeGuards('guards', statuses).verdict,
    )
    assert.deepEqual(verdicts, ['ok', 'warning', 'warning', 'wrong'])
    assert.equal(judgeGeoip('countries', false).verdict, 'warning')
  })
})

describe('settings of Tor', () => {
  const SAFE = { SafeLogging: ['1'], ConfluxEnabled: ['0'], ClientRejectInternalAddresses: ['1'] }
  const judge = (changed: Record<string, string[]>, whose: Partial<SettingsOf> = {}) =>
    judgeSettings('settings', new Map(Object.entries({ ...SAFE, ...changed })), {
      ...{ kind: 'local', id: 'tor01', rejectsInternalAddresses: true },
      ...whose,
    })

  it('are safe as we write them', () => {
    assert.deepEqual(verdictsOf(judge({})), ['ok'])
  })

  it('are wrong when they harm, each with what it does', () => {
    for (const [option, value, harm] of [
      ['SafeLogging', '0', /targets into its log/],
      ['SafeLogging', 'relay', /targets into its log/],
      ['ConfluxEnabled', 'auto', /another exit/],
      ['UseEntryGuards', '0', /new relay all the time/],
      ['HiddenServiceNonAnonymousMode', '1', /not anonymous/],
      ['ClientRejectInternalAddresses', '0', /private addresses/],
      ['DisableNetwork', '1', /does not use the network/],
    ] as const) {
      const [{ verdict, text, mend } = assert.fail()] = judge({ [option]: [value] })
      assert.equal(verdict, 'wrong', option)
      assert.match(text, harm)
      assert.match(mend ?? '', new RegExp(`Take ${option} out of the torrc lines`))
    }
  })

  it('are judged by whose Tor it is', () => {
    const conflux = { ConfluxEnabled: ['auto'] }
    assert.match(judge(conflux, { kind: 'external' })[0]?.mend ?? '', /Write "ConfluxEnabled 0" into its torrc/)
    assert.deepEqual(verdictsOf(judge(conflux, { kind: 'external' })), ['warning'])
    assert.match(judge(conflux, { kind: 'openwrt' })[0]?.mend ?? '', /cbtor workers upgrade tor01/)
    assert.deepEqual(verdictsOf(judge({ ConfluxEnabled: [] })), ['wrong'])
    assert.deepEqual(verdictsOf(judge({ ClientRejectInternalAddresses: ['0'] }, { rejectsInternalAddresses: false })), [
      'warning',
    ])
    assert.deepEqual(verdictsOf(judge({ ExitNodes: ['{de}'], StrictNodes: ['1'] })), ['warning', 'warning'])
  })
})

describe('listeners of Tor', () => {
  const own = ['unix:/s/socks', 'unix:/s/control']
  const ours = { socks: ['unix:/s/socks'], control: ['unix:/s/control'], or: [] }
  const seen = (changed: Record<string, string[]>): TorListeners =>
    new Map(Object.entries({ ...ours, ...changed })) as TorListeners
  const judge = (changed: Record<string, string[]>, added = 0) =>
    judgeLocalListeners('l', seen(changed), { own, added })

  it('are our two sockets, and what the configuration adds', () => {
    assert.deepEqual(verdictsOf(judge({})), ['ok'])
    const [added] = judge({ socks: ['unix:/s/socks', '127.0.0.1:9050'] }, 1)
    assert.deepEqual(
      [added?.verdict, added?.text],
      ['ok', 'unix sockets of ours, and as configured: socks 127.0.0.1:9050'],
    )
    assert.deepEqual(verdictsOf(judge({ dns: ['192.0.2.1:53'] }, 1)), ['warning'])
    assert.deepEqual(verdictsOf(judge({ socks: ['unix:/s/socks', '[2001:db8::1]:9050'] }, 1)), ['warning'])
  })

  it('are wrong when there are others, or ours are missing', () => {
    const [other] = judge({ control: ['unix:/s/control', '127.0.0.1:9051'] })
    assert.equal(other?.verdict, 'wrong')
    assert.match(other?.text ?? '', /more than the configuration says: control 127\.0\.0\.1:9051/)
    assert.match(judge({ socks: [] })[0]?.text ?? '', /does not listen on unix:\/s\/socks/)
  })

  it('of somebody else are wrong only where the control port is open to others', () => {
    const external = (changed: Record<string, string[]>) => verdictsOf(judgeExternalListeners('l', seen(changed)))
    assert.deepEqual(external({ socks: ['127.0.0.1:9050'], or: ['0.0.0.0:9001'] }), ['ok'])
    assert.deepEqual(external({ socks: ['0.0.0.0:9050'] }), ['warning'])
    assert.deepEqual(external({ control: ['10.0.0.1:9051'] }), ['wrong'])
  })

  it('of a box are those that were installed', () => {
    const installed = { socks: ['0.0.0.0:9050'], trans: ['0.0.0.0:9040'], control: ['127.0.0.1:9051'] }
    assert.deepEqual(verdictsOf(judgeBoxListeners('l', seen(installed), 'tor01')), ['ok'])
    const [open] = judgeBoxListeners('l', seen({ ...installed, control: ['0.0.0.0:9051'] }), 'tor01')
    assert.equal(open?.verdict, 'warning')
    assert.match(open?.mend ?? '', /cbtor workers check tor01/)
  })
})

describe('the egress lock', () => {
  it('is proven by what is refused, and tells of the service only to one who is as the service', () => {
    const open = { state: 'open', holes: ['A packet to 192.0.2.1 left this machine'] } as const
    const unknown = { state: 'unknown', holes: [] } as const
    assert.equal(judgeEgress({ state: 'locked', holes: [] }, 'self', true).verdict, 'ok')
    assert.equal(judgeEgress(open, 'service', false).verdict, 'warning')
    assert.equal(judgeEgress(open, 'self', false).verdict, 'unchecked')
    assert.equal(judgeEgress(open, 'self', true).verdict, 'wrong')
    assert.match(judgeEgress(open, 'self', true).text, /192\.0\.2\.1 left/)
    assert.equal(judgeEgress(unknown, 'service', false).verdict, 'unchecked')
    assert.equal(judgeEgress(unknown, 'self', true).verdict, 'wrong')
  })
})

describe('problems of the service', () => {
  it('are wrong when they are errors', () => {
    const since = '2026-06-01T12:00:00.000Z'
    const found = judgeProblems({
      problems: [
        { code: 'worker_dead', severity: 'error', text: 'tor01 is dead', since, worker: 'tor01' },
        { code: 'uplink_suspected', severity: 'warn', text: 'all fail', since, worker: null },
      ],
    })
    assert.deepEqual(
      found.map(({ name, verdict }) => [name, verdict]),
      [
        ['tor01: worker_dead', 'wrong'],
        ['service: uplink_suspected', 'warning'],
      ],
    )
  })
})

function verdictsOf(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ verdict }) => verdict)
}
