import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ControlEvent, parseEvent } from './event.ts'

const FP = 'A'.repeat(40)

function event(...texts: string[]): ControlEvent {
  return parseEvent(texts.map((text) => ({ code: 650, text, data: undefined })))
}

/** The event without the fields that are absent, so that a test names what is there. */
function present(of: ControlEvent): Record<string, unknown> {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined))
}

describe('parseEvent(), CIRC', () => {
  it('reads a circuit of tor 0.4.9 with conflux and octal escapes', () => {
    const text = `CIRC 42 BUILT $${FP}~a1,$${FP.replaceAll('A', 'b')} BUILD_FLAGS=NEED_CAPACITY,NEED_UPTIME PURPOSE=CONFLUX_LINKED TIME_CREATED=2026-01-02T03:04:05.000006 SOCKS_USERNAME="L" SOCKS_PASSWORD="\\001\\377\\001\\377a" CONFLUX_ID=E3C2 CONFLUX_RTT=12050`
    assert.deepEqual(present(event(text)), {
      type: 'CIRC',
      id: '42',
      status: 'BUILT',
      path: [
        { fingerprint: FP, nickname: 'a1' },
        { fingerprint: 'B'.repeat(40), nickname: undefined },
      ],
      buildFlags: ['NEED_CAPACITY', 'NEED_UPTIME'],
      purpose: 'CONFLUX_LINKED',
      timeCreated: '2026-01-02T03:04:05.000006',
      socksUsername: 'L',
      socksPassword: '\x01\xff\x01\xffa',
      confluxId: 'E3C2',
      confluxRtt: 12050,
    })
  })

  it('reads a failure, and onion service fields', () => {
    const failed = event(
      `CIRC 5 FAILED $${FP}=old REASON=DESTROYED REMOTE_REASON=OR_CONN_CLOSED HS_STATE=HSCR_JOINED REND_QUERY=abc`,
    )
    assert.deepEqual(present(failed), {
      type: 'CIRC',
      id: '5',
      status: 'FAILED',
      path: [{ fingerprint: FP, nickname: 'old' }],
      buildFlags: [],
      hsState: 'HSCR_JOINED',
      rendQuery: 'abc',
      reason: 'DESTROYED',
      remoteReason: 'OR_CONN_CLOSED',
    })
  })

  it('keeps what it does not know, and passes over more words and lines than expected', () => {
    const future = event('CIRC 7 MELTED 0xBEEF PURPOSE=TELEPORT NEW_KEY="a b"', 'EXTRAMAGIC=99', 'REASON=BOREDOM')
    assert.deepEqual(present(future), {
      type: 'CIRC',
      id: '7',
      status: 'MELTED',
      path: [],
      buildFlags: [],
      purpose: 'TELEPORT',
      reason: 'BOREDOM',
    })
  })

  it('reads a change of purpose', () => {
    const change = event(`CIRC_MINOR 7 PURPOSE_CHANGED $${FP}~x PURPOSE=CONFLUX_LINKED OLD_PURPOSE=CONFLUX_UNLINKED`)
    assert.ok(change.type === 'CIRC_MINOR')
    assert.equal(change.change, 'PURPOSE_CHANGED')
    assert.equal(change.circuit.id, '7')
    assert.equal(change.circuit.purpose, 'CONFLUX_LINKED')
    assert.equal(change.oldPurpose, 'CONFLUX_UNLINKED')
  })
})

describe('parseEvent(), STREAM', () => {
  it('reads a new stream of tor 0.4.9', () => {
    const text =
      'STREAM 54 NEW 0 example.test:443 SOURCE_ADDR=10.200.0.11:47978 PURPOSE=USER SOCKS_USERNAME="u \\"1\\"" SOCKS_PASSWORD="" CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=3 SESSION_GROUP=-6 ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD,CLIENTADDR'
    assert.deepEqual(present(event(text)), {
      type: 'STREAM',
      id: '54',
      status: 'NEW',
      target: { host: 'example.test', port: 443 },
      sourceAddress: { host: '10.200.0.11', port: 47978 },
      purpose: 'USER',
      clientProtocol: 'SOCKS5',
      nymEpoch: 3,
      sessionGroup: -6,
      isoFields: ['SOCKS_USERNAME', 'SOCKS_PASSWORD', 'CLIENTADDR'],
      socksUsername: 'u "1"',
      socksPassword: '',
    })
  })

  it('reads targets without brackets, inside Tor, and on a circuit', () => {
    const targets = [
      ['2001:db8::1:0', '2001:db8::1', 0],
      ['[2001:db8::1]:443', '2001:db8::1', 443],
      ['(Tor_internal):0', '(Tor_internal)', 0],
      ['a=b.example:80', 'a=b.example', 80],
      ['strange', 'strange', 0],
      ['strange:https', 'strange:https', 0],
    ] as const
    for (const [text, host, port] of targets) {
      const stream = event(`STREAM 23 SENTCONNECT 26 ${text}`)
      assert.ok(stream.type === 'STREAM')
      assert.deepEqual(stream.target, { host, port })
      assert.equal(stream.circuitId, '26')
    }
  })

  it('tells that a stream is closed even when the reason is unknown', () => {
    const closed = event('STREAM 21 CLOSED 26 1.2.3.4:443 REASON=GREMLINS REMOTE_REASON=MOONBEAMS')
    assert.ok(closed.type === 'STREAM')
    assert.deepEqual([closed.status, closed.reason, closed.remoteReason], ['CLOSED', 'GREMLINS', 'MOONBEAMS'])
  })

  it('reads who remapped a target', () => {
    const remap = event('STREAM 18 REMAP 26 74.125.227.129:443 SOURCE=EXIT')
    assert.ok(remap.type === 'STREAM')
    assert.equal(remap.source, 'EXIT')
  })
})

describe('parseEvent(), others', () => {
  it('reads ORCONN by relay and by address', () => {
    assert.deepEqual(present(event(`ORCONN $${FP}~tama CLOSED REASON=DONE NCIRCS=20 ID=18`)), {
      type: 'ORCONN',
      relay: { fingerprint: FP, nickname: 'tama' },
      status: 'CLOSED',
      reason: 'DONE',
      circuits: 20,
      id: '18',
    })
    assert.deepEqual(present(event('ORCONN 127.0.0.1:9000 NEW')), {
      type: 'ORCONN',
      address: { host: '127.0.0.1', port: 9000 },
      status: 'NEW',
    })
  })

  it('reads GUARD, SIGNAL, NETWORK_LIVENESS and BUILDTIMEOUT_SET', () => {
    assert.deepEqual(event(`GUARD ENTRY $${FP}~caerSidi DOWN`), {
      type: 'GUARD',
      kind: 'ENTRY',
      relay: { fingerprint: FP, nickname: 'caerSidi' },
      status: 'DOWN',
    })
    assert.deepEqual(event('SIGNAL NEWNYM'), { type: 'SIGNAL', signal: 'NEWNYM' })
    assert.deepEqual(event('NETWORK_LIVENESS SIDEWAYS'), { type: 'NETWORK_LIVENESS', status: 'SIDEWAYS' })
    assert.deepEqual(
      event(
        'BUILDTIMEOUT_SET COMPUTED TOTAL_TIMES=124 TIMEOUT_MS=9019 XM=1375 ALPHA=0.855662 CUTOFF_QUANTILE=0.800000 TIMEOUT_RATE=0.137097 CLOSE_MS=21850 CLOSE_RATE=0.072581',
      ),
      {
        type: 'BUILDTIMEOUT_SET',
        change: 'COMPUTED',
        totalTimes: 124,
        timeoutMs: 9019,
        timeoutRate: 0.137097,
        closeMs: 21850,
        closeRate: 0.072581,
      },
    )
  })

  it('reads a bootstrap that is stuck, by names and not by positions', () => {
    const stuck = event(
      'STATUS_CLIENT WARN BOOTSTRAP TAG=conn_or PROGRESS=80 SUMMARY="Connecting to the Tor network" WARNING="Network is unreachable" REASON=NOROUTE COUNT=5 RECOMMENDATION=warn HOSTID="AB" HOSTADDR="1.2.3.4:9001"',
    )
    assert.ok(stuck.type === 'STATUS_CLIENT')
    assert.equal(stuck.severity, 'WARN')
    assert.deepEqual(stuck.bootstrap, {
      progress: 80,
      tag: 'conn_or',
      summary: 'Connecting to the Tor network',
      warning: 'Network is unreachable',
      reason: 'NOROUTE',
      count: 5,
      recommendation: 'warn',
      hostId: 'AB',
      hostAddress: '1.2.3.4:9001',
    })
  })

  it('reads other status actions with their arguments', () => {
    const skew = event('STATUS_GENERAL WARN CLOCK_SKEW SKEW=-3600 SOURCE="DIRSERV:1.2.3.4:80"')
    assert.ok(skew.type === 'STATUS_GENERAL')
    assert.equal(skew.action, 'CLOCK_SKEW')
    assert.equal(skew.values.get('SKEW'), '-3600')
    assert.equal(skew.bootstrap, undefined)
    assert.equal(present(event('STATUS_CLIENT NOTICE NOT_ENOUGH_DIR_INFO')).action, 'NOT_ENOUGH_DIR_INFO')
  })

  it('gives an unknown kind as it came, and a known kind that lacks its first words', () => {
    const lines = [
      { code: 650, text: 'HS_DESC_CONTENT abc', data: ['x'] },
      { code: 650, text: 'OK', data: undefined },
    ]
    assert.deepEqual(parseEvent(lines), { type: 'other', keyword: 'HS_DESC_CONTENT', lines })
    for (const text of [
      '',
      'CIRC',
      'CIRC 7',
      'STREAM 1 NEW 0',
      'GUARD ENTRY nick DOWN',
      'SIGNAL',
      'ORCONN',
      '__proto__ x',
    ]) {
      assert.deepEqual(event(text), {
        type: 'other',
        keyword: text.split(' ')[0],
        lines: [{ code: 650, text, data: undefined }],
      })
    }
  })

  it('is total', () => {
    const kinds = fc.constantFrom(
      'CIRC',
      'CIRC_MINOR',
      'STREAM',
      'ORCONN',
      'GUARD',
      'STATUS_CLIENT',
      'BUILDTIMEOUT_SET',
      'X',
    )
    const word = fc.oneof(
      fc.constantFrom('1', 'BUILT', `$${FP}~a,$${FP}`, 'REASON=', 'SOCKS_PASSWORD="\\', 'BOOTSTRAP', 'PROGRESS=-', '"'),
      fc.string(),
    )
    fc.assert(
      fc.property(kinds, fc.array(word), (kind, words) => {
        const parsed = event([kind, ...words].join(' '))
        assert.ok(parsed.type === kind || parsed.type === 'other')
      }),
      { numRuns: 5000 },
    )
  })
})
