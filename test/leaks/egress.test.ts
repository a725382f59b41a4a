/** The service under the egress lock: it does what it should, and whatever its code did, the kernel would hold it. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmdirSync, statfsSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { egressRules, type LockSubject } from '../../src/egress/rules.ts'
import { each, eventually, problemOf } from '../asking.ts'
import { SomebodysTor } from '../integration/somebodys-tor.ts'
import { type Gateway, ROOT } from './gateway.ts'
import { type LeakLab, sharedLab } from './leak-lab.ts'
import { fed } from './outside.ts'
import { connectBy, forwardBy, socksBy } from './port-client.ts'

/** Nobody's on any machine. */
const UID = 61_234
/** Somebody else than root, who may still read the files of this test. */
const AS_USER = [
  ...['setpriv', '--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups'],
  ...['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--bounding-set=-all,+dac_override', '--'],
]
const CGROUPS = '/sys/fs/cgroup'
const CGROUP2_MAGIC = 0x63677270
const GROUP = `cbtor-leaks-${process.pid}/cbtor.service`
const IN_GROUP = ['sh', '-c', `echo $$ >${CGROUPS}/${GROUP}/cgroup.procs && exec "$@"`, 'sh']

const SUBJECTS: Readonly<
  Record<'user' | 'control group', { readonly subject: LockSubject; readonly wrap: readonly string[] }>
> = {
  user: { subject: { by: 'user', user: `${UID}` }, wrap: AS_USER },
  'control group': { subject: { by: 'cgroup', path: GROUP }, wrap: IN_GROUP },
}

/**
 * Where a service must not go itself, in every family of addresses that the target policy refuses, and two where it may go through
 * workers only. Loopback is not among them: the lock leaves it open, for it is where Tors listen.
 */
const HIDDEN = [
  ...[
    '198.51.100.120',
    'leak.example',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.2.1',
  ],
  ...[
    '198.18.0.1',
    '203.0.113.9',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    'fd00::1',
    'fe80::1',
    'ff02::1',
    '2001:db8::1',
  ],
  ...['64:ff9b::a00:1', '2002:a00:1::', '2001:0:a00:1::', '::ffff:10.0.0.1'],
]

describe('the egress lock', { timeout: 600_000 }, () => {
  let lab: LeakLab
  before(async () => {
    ;({ lab } = await sharedLab())
    // Where nft looks for them; other systems have version 1 there, or both.
    if (statfsSync(CGROUPS).type !== CGROUP2_MAGIC) execFileSync('mount', ['-t', 'cgroup2', 'none', CGROUPS])
    mkdirSync(join(CGROUPS, GROUP, 'tor'), { recursive: true })
  })
  after(async () => {
    await fed(['nft', '-f', '-'], 'table inet cbtor_egress { }\ndelete table inet cbtor_egress')
    for (const group of [`${GROUP}/tor`, GROUP, join(GROUP, '..')])
      await eventually(async () => {
        rmdirSync(join(CGROUPS, group))
        return true
      }, 10_000)
  })

  for (const [name, { subject, wrap }] of Object.entries(SUBJECTS)) {
    describe(`by ${name}`, () => {
      before(() => lock(subject))

      it('holds for what runs as the service does, and doctor sees it', async () => {
        const command = [...wrap, process.execPath, join(ROOT, 'src/main.ts'), 'doctor', '--egress']
        const { stdout } = await run(command)
        assert.match(stdout, /egress lock +what is sent to the outside is refused at once/)
        await assert.rejects(run(command.slice(wrap.length)), /wrong: egress lock/)
      })

      it('refuses connections, datagrams and questions at once, and lets nothing out', async () => {
        await lab.watch()
        // What a program meets: an error, before its limit.
        const attempts = `
          const { connect } = require('node:net'), { createSocket } = require('node:dgram'), { lookup } = require('node:dns')
          const said = []
          const say = (what) => (error) => { said.push(what + ' ' + (error?.code ?? 'went out')); if (said.length === 4) { console.log(said.sort().join()); process.exit() } }
          for (const host of ['198.51.100.120', '2001:db8:2::1']) connect({ host, port: 80 }).on('error', say('tcp')).on('connect', say('tcp'))
          lookup('planted.example', say('name'))
          createSocket('udp4').send('x', 443, '198.51.100.120', say('udp'))
          setTimeout(() => { console.log('late: ' + said); process.exit() }, 15000)`
        const { stdout } = await run([...wrap, process.execPath, '-e', attempts])
        assert.match(stdout, /^name E[A-Z_]+,tcp ECONNREFUSED,tcp ECONNREFUSED,udp EPERM$/m)
        const { tried, left, arrived } = await lab.outside.counts()
        assert.ok(tried > 0, 'they were tried')
        assert.deepEqual([left, arrived, lab.resolver.names], [0, 0, []])
      })

      it('L1, L5: the service does its work under it, and refuses when it cannot', async () => {
        await using tors = new AsyncDisposableStack()
        await using gateway = await startUnderLock(name, wrap, tors)
        const watch = await lab.watch()
        const tag = name.slice(0, 4)
        const names = Array.from({ length: 20 }, (_, n) => `lock-${tag}-${n}.cbtor.test`)
        await each(names.length, 4, async (n) => {
          const { status } = await gateway.api.fetch({ url: `${n % 2 === 0 ? 'http' : 'https'}://${names[n]}/ip` })
          assert.equal(status, 200)
        })
        assert.equal((await gateway.api.fetch({ url: `${lab.network.urls.onion}/ip` })).receipt.exit, null)
        const asked = (await watch.namesAtExits()).filter((asked) => asked.startsWith('lock-'))
        assert.deepEqual(asked.sort(), names.sort())
        for (const { id } of (await gateway.api.workers()).workers) await gateway.api.stopTor(id)
        assert.equal((await problemOf(gateway.api.fetch({ url: 'http://lock-none.cbtor.test/' }))).code, 'no_worker')
        await watch.nothingLeaked()
      })

      it('L5, L44: it holds a service that goes directly to whatever it is told', async () => {
        const broken = async (held: boolean) => {
          await using gateway = await lab.gateway({
            main: join(ROOT, 'test/leaks/direct-main.ts'),
            workers: [{ kind: 'local', id: 'tor01' }],
            config: { targets: { allow_reserved: ['0.0.0.0/0', '::/0'] }, health: { check_interval: '1s' } },
            isReady: false,
            ...(held && { wrap }),
          })
          await eventually(async () => (await gateway.api.worker('tor01')).state === 'healthy')
          await lab.watch()
          await each(HIDDEN.length, HIDDEN.length, async (n) => {
            const host = HIDDEN[n] ?? ''
            const inUrl = isIPv6(host) ? `[${host}]` : host
            await problemOf(gateway.api.fetch({ url: `http://${inUrl}/`, timeout_ms: 3_000 }))
            await problemOf(gateway.api.fetch({ url: `https://${inUrl}/`, timeout_ms: 3_000 }))
            assert.ok((await forwardBy(gateway, `http://${inUrl}/`)).status >= 500)
            assert.notEqual((await connectBy(gateway, `${inUrl}:443`)).code, 200)
            assert.notEqual((await socksBy(gateway, host, 443)).code, 0)
          })
          return { ...(await lab.outside.counts()), names: lab.resolver.names }
        }
        const held = await broken(true)
        assert.ok(held.tried > 0, 'it tried')
        assert.deepEqual([held.left, held.arrived, held.names], [0, 0, []])
        // Without the lock the same service leaks all of it.
        const free = await broken(false)
        assert.ok(free.left > 0 && free.arrived > 0 && free.names.includes('leak.example'), JSON.stringify(free))
      })
    })
  }

  it('leaves Tor in its own control group alone', async () => {
    await lock(SUBJECTS['control group'].subject)
    const inOwnGroup = [...IN_GROUP, join(ROOT, 'deploy/tor-in-own-cgroup')]
    const group = await run([...inOwnGroup, 'cat', '/proc/self/cgroup'])
    assert.match(group.stdout, /^0::.*cbtor\.service\/tor$/m)
    await lab.watch()
    const send = `require('node:dgram').createSocket('udp4').send('x', 443, '198.51.100.120', (error) => process.exit(error ? 1 : 0))`
    await run([...inOwnGroup, process.execPath, '-e', send])
    assert.ok((await lab.outside.counts()).left > 0)
  })

  it('is loaded by a unit that systemd understands', async (t) => {
    const unit = join(lab.network.directory, 'cbtor.service')
    const lockUnit = join(`${unit}.d`, 'egress-lock.conf')
    execFileSync('cp', ['-r', 'deploy/cbtor.service', 'deploy/cbtor.service.d', lab.network.directory], { cwd: ROOT })
    execFileSync('sed', ['-i', 's#/usr/bin/cbtor#/bin/true#', unit, lockUnit])
    const has = readdirSync('/usr/bin').includes('systemd-analyze')
    if (has) await run(['systemd-analyze', 'verify', unit])
    t.diagnostic(has ? 'systemd-analyze has verified it' : 'there is no systemd here: it was only looked at')
    const text = execFileSync('cat', [lockUnit], { encoding: 'utf8' })
    assert.match(text, /^ExecStartPre=\+\/usr\/sbin\/nft -f \S+\nExecStartPre=\/bin\/true doctor --egress\n/m)
  })

  async function lock(subject: LockSubject): Promise<void> {
    await fed(['nft', '-f', '-'], egressRules({ subject, ways: [], hasRemoteClients: false }))
  }

  /** By user: Tors of somebody else, reached by unix sockets. By control group: local ones, in a group of their own. */
  async function startUnderLock(name: string, wrap: readonly string[], tors: AsyncDisposableStack): Promise<Gateway> {
    if (name === 'control group') {
      const command = [join(ROOT, 'deploy/tor-in-own-cgroup'), ...lab.network.clientCommand()]
      return await lab.gateway({ wrap, workers: lab.localWorkers(2), config: { tor: { command } } })
    }
    const workers = await Promise.all(
      ['tor01', 'tor02'].map(async (id) => {
        const tor = tors.use(await SomebodysTor.start({ network: lab.network, client: lab.client() }))
        await tor.bootstrapped()
        const { controlSocket, controlCookie, socksSocket } = tor.directory
        const doors = { socks: `unix:${socksSocket}`, control: `unix:${controlSocket}`, cookie_file: controlCookie }
        return { kind: 'external', id, ...doors }
      }),
    )
    return await lab.gateway({ wrap, workers })
  }
})

async function run([program = '', ...args]: readonly string[]): Promise<{ readonly stdout: string }> {
  return await promisify(execFile)(program, args, { timeout: 30_000 })
}
