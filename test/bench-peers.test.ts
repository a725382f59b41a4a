/** The peers of bench/ that are not here are rows of the report, and stop nobody. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isMissing, type PeersRoom, parseVersion, startPeers, startPeersAlone } from '../bench/stage/peers.ts'

const NO_PROGRAM = Object.assign(new Error('Command failed'), { code: 127 })
const TORS = { socks: [9_051, 9_052, 9_053, 9_054], httpTunnel: [9_151, 9_152, 9_153, 9_154] }
const everythingListens = { listening: async () => {} }
const nothingListens = { listening: () => new Promise<void>(() => {}) }

describe('startPeers()', () => {
  it('tells of each contestant its processes, its version and the ways to it', async () => {
    using room = new FakeRoom()
    const peers = await startPeers(room, { loader: everythingListens, directory: room.directory, tors: TORS })
    const rowOf = (id: string) => {
      const peer = peers.find((each) => each.id === id)
      return peer === undefined || isMissing(peer) ? peer : [peer.pids.length, peer.way, peer.absolute]
    }
    assert.deepEqual(rowOf('tor'), [0, { kind: 'socks', ports: TORS.socks }, undefined])
    assert.deepEqual(rowOf('tor-http-tunnel'), [0, { kind: 'connect', ports: TORS.httpTunnel }, undefined])
    assert.deepEqual(rowOf('haproxy-tcp'), [1, { kind: 'socks', ports: [9_100] }, undefined])
    const privoxy = [5, { kind: 'connect', ports: [9_200] }, { kind: 'absolute', ports: [9_200] }]
    assert.deepEqual(rowOf('haproxy-privoxy'), privoxy)
    const proxyChain = [1, { kind: 'connect', ports: [9_300] }, { kind: 'absolute', ports: [9_300] }]
    assert.deepEqual(rowOf('proxy-chain'), proxyChain)
  })

  it('gives a second set ports of its own', async () => {
    using room = new FakeRoom()
    const options = { loader: everythingListens, directory: room.directory, tors: TORS }
    await startPeers(room, options)
    await startPeers(room, { ...options, offset: 10 })
    assert.equal(new Set(room.started).size, room.started.length, `${room.started}`)
  })

  it('makes a row of a program that is not installed, and starts the others', async () => {
    using room = new FakeRoom({ installed: ['tor', 'haproxy'] })
    const peers = await startPeers(room, { loader: everythingListens, directory: room.directory, tors: TORS })
    assert.deepEqual(peers.filter(isMissing), [
      {
        id: 'haproxy-privoxy',
        title: 'haproxy → privoxy → tor',
        missing: 'privoxy is not installed: script/setup bench brings it',
      },
    ])
    assert.ok(peers.some(({ id, ...peer }) => id === 'haproxy-tcp' && 'pids' in peer))
  })
})

describe('startPeersAlone()', () => {
  it('makes a row of a program that ends before it listens, with its last words', async () => {
    using room = new FakeRoom({ endsWith: 1 })
    assert.deepEqual(await startPeersAlone(room, { loader: nothingListens, upstream: 9_000 }), [
      { id: 'haproxy-tcp', title: 'haproxy', missing: 'haproxy-tcp-9500 ended with 1: [ALERT] no such port' },
      { id: 'proxy-chain', title: 'proxy-chain', missing: 'proxy-chain-9600 ended with 1: [ALERT] no such port' },
    ])
  })
})

it('parseVersion() finds the version in what each program says', () => {
  assert.equal(
    parseVersion('HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: long-term supported'),
    '2.6.12-1+deb12u4',
  )
  assert.equal(parseVersion('Privoxy version 3.0.34 (https://www.privoxy.org/)\n'), '3.0.34')
  assert.equal(parseVersion('Tor version 0.4.9.11.\nThis build of Tor is covered by'), '0.4.9.11')
  assert.equal(parseVersion('usage: something else'), 'of a version that it does not tell')
})

/** Programs are installed or not, and stay up unless told. */
class FakeRoom implements PeersRoom, Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'cbtor-peers-'))
  readonly started: string[] = []
  readonly #installed: readonly string[]
  readonly #endsWith: number | undefined

  constructor({ installed = ['tor', 'haproxy', 'privoxy'], endsWith }: FakeRoomOptions = {}) {
    this.#installed = installed
    this.#endsWith = endsWith
    writeFileSync(this.logOf(), 'starting\n[ALERT] no such port\n')
  }

  async run(command: readonly string[]): Promise<string> {
    const program = command.at(-2) ?? ''
    if (!this.#installed.includes(program)) throw NO_PROGRAM
    return `${program} version 1.2.3`
  }

  start(name: string): { pid: number; child: ChildProcess } {
    this.started.push(name)
    const child = new EventEmitter() as ChildProcess
    const endsWith = this.#endsWith
    if (endsWith !== undefined) queueMicrotask(() => child.emit('exit', endsWith, null))
    return { pid: this.started.length, child }
  }

  logOf(): string {
    return join(this.directory, 'log')
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true })
  }
}

interface FakeRoomOptions {
  readonly installed?: readonly string[]
  readonly endsWith?: number
}
