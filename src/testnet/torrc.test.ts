import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type Isolation, planNetwork } from './plan.ts'
import { clientTorrc, daemonTorrc, type TorrcContext } from './torrc.ts'

const SETTINGS = { consensusAtS: 1_700_000_123, refusedPorts: [] }

it('tells every member of the authorities', () => {
  const context = contextOf('namespace', 0)
  const line = `DirAuthority auth1 orport=5101 v3ident=${'A'.repeat(40)} 203.0.113.1:7000 ${'B'.repeat(40)}`
  assert.ok(clientTorrc(context).includes(line))
  for (const process of context.plan.processes) assert.ok(daemonTorrc(process, context, SETTINGS).includes(line))
})

it('leaves the ports and directories of a client to the client', () => {
  for (const isolation of ['namespace', 'loopback'] as const) {
    const keys = clientTorrc(contextOf(isolation, 0)).map((line) => line.split(' ')[0])
    for (const key of ['SocksPort', 'ControlSocket', 'DataDirectory', 'ConfluxEnabled']) assert.ok(!keys.includes(key))
  }
})

it('refuses private addresses in a namespace, and cannot on loopback', () => {
  assert.ok(torrcOf('exit1', contextOf('namespace', 0)).includes('ExitPolicyRejectPrivate 1'))
  assert.ok(torrcOf('exit1', contextOf('loopback', 0)).includes('ExitPolicyRejectPrivate 0'))
})

it('keeps every tor on loopback from other machines by a source address that cannot leave', () => {
  const context = contextOf('loopback', 0)
  assert.ok(clientTorrc(context).includes('OutboundBindAddress 127.0.0.1'))
  for (const process of context.plan.processes) {
    assert.ok(torrcOf(process.name, context).includes(`OutboundBindAddress ${process.address}`))
  }
})

it('puts the forwarder between a relay and its advertised port only when there is latency', () => {
  assert.ok(torrcOf('relay1', contextOf('namespace', 0)).includes('ORPort 203.0.113.11:5101 IPv4Only'))
  const delayed = torrcOf('relay1', contextOf('namespace', 20))
  assert.ok(delayed.includes('ORPort 203.0.113.11:5101 IPv4Only NoAdvertise'))
  assert.ok(delayed.includes('ORPort 203.0.113.11:5201 IPv4Only NoListen'))
})

it('lets only exits be exits, and makes one that refuses ports keep that to itself', () => {
  const context = contextOf('namespace', 0)
  assert.ok(torrcOf('relay1', context).includes('ExitRelay 0'))
  assert.ok(torrcOf('auth1', context).includes('ExitRelay 0'))
  const policy = torrcOf('exit1', context, [80, 443]).filter((line) => /^(ExitPolicy|PublishServer)/.test(line))
  assert.deepEqual(policy, [
    'ExitPolicyRejectPrivate 1',
    'ExitPolicy reject *:80',
    'ExitPolicy reject *:443',
    'ExitPolicy accept *:*',
    'PublishServerDescriptor 0',
  ])
})

it('has the authorities vote for the wanted second', () => {
  assert.ok(torrcOf('auth1', contextOf('namespace', 0)).includes('TestingV3AuthVotingStartOffset 23'))
})

function torrcOf(name: string, context: TorrcContext, refusedPorts: number[] = []): string[] {
  const process = context.plan.processes.find((candidate) => candidate.name === name)
  assert.ok(process)
  return daemonTorrc(process, context, { ...SETTINGS, refusedPorts }).split('\n')
}

function contextOf(isolation: Isolation, latencyMs: number): TorrcContext {
  const plan = planNetwork({ isolation, latencyMs, loopbackSlot: 0 })
  const authorities = plan.processes
    .filter(({ role }) => role === 'authority')
    .map(({ name, address }) => ({ name, address, v3ident: 'A'.repeat(40), fingerprint: 'B'.repeat(40) }))
  return { plan, authorities, directory: '/nowhere' }
}
