import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type Ran, ThrowAwayRoot } from './throw-away-root.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)

describe('the Debian package', { timeout: 400_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-deb-'))
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1800000000' }
  let root: ThrowAwayRoot
  let deb = ''
  let known: readonly string[] = []

  before(async () => {
    deb = await build('first')
    // Neither this checkout nor what belongs to this user is to be of any use.
    root = await ThrowAwayRoot.create(deb, [ROOT, homedir()])
    known = await filesOfOurs()
  })
  after(async () => {
    await root?.[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true, force: true })
  })

  async function build(name: string): Promise<string> {
    return (await run('script/deb', [join(directory, name)], { cwd: ROOT, env })).stdout.trim().split('\n').at(-1) ?? ''
  }

  async function good(script: string): Promise<string> {
    const { code, out, err } = await root.run(script)
    assert.equal(code, 0, `${script}\n${out}${err}`)
    return out.trim()
  }

  /** What has our name and was not there before. */
  async function newFiles(): Promise<string[]> {
    const there = new Set(known)
    return (await filesOfOurs()).filter((path) => !there.has(path))
  }

  async function filesOfOurs(): Promise<string[]> {
    const found = await good('find / -xdev -name "*cbtor*" ! -path "/var/lib/dpkg/*" ! -path "/proc/*" | sort')
    return found.split('\n').filter((path) => path !== '')
  }

  it('is the same, byte by byte, when it is built again', async () => {
    const again = await build('second')
    assert.ok(readFileSync(deb).equals(readFileSync(again)))
  })

  it('is installed, with a user and a directory of its own, and does not start anything', async () => {
    const told = await good('dpkg -i /package.deb')
    assert.match(told, /does not run yet.*systemctl enable --now cbtor/)
    assert.equal(await good('dpkg --verify cbtor'), '')
    assert.equal(await good('stat -c "%U %G %a" /var/lib/cbtor'), 'cbtor cbtor 700')
    assert.equal(
      await good('stat -c "%U %G %a" /etc/cbtor/cbtor.yaml /usr/lib/cbtor/node'),
      'root root 644\nroot root 755',
    )
    assert.equal(await good('find /usr/lib/cbtor /usr/bin/cbtor ! -user root -o -perm /022 ! -type l'), '')
    assert.equal(await good('ls -l /proc/[0-9]*/exe 2>/dev/null | grep /usr/lib/cbtor || true'), '')
    assert.equal(existsSync('/usr/lib/cbtor'), false, 'this machine is as it was')
  })

  it('runs with its own Node, and has what the command needs', async () => {
    await good('rm -f /usr/bin/node /usr/local/bin/node')
    assert.equal(await good('command -v cbtor'), '/usr/bin/cbtor')
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    assert.match(await good('cbtor --version'), new RegExp(`\\b${version}\\b`))
    assert.match(await good('/usr/lib/cbtor/node --version'), /^v24\./)
    await good('cbtor config check --config /etc/cbtor/cbtor.yaml')
    await good('bash -n /usr/share/bash-completion/completions/cbtor')
    await good('test -e /usr/share/doc/cbtor/docs/install.md && test -e /usr/share/doc/cbtor/README.md')
  })

  it('has units that systemd understands and rates at 2.0 or less', async (t) => {
    const rate = async (unit: string) => {
      await good(`systemd-analyze verify /usr/lib/systemd/system/${unit}`)
      const told = await good(`systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/${unit}`)
      const [, score] = /Overall exposure level for \S+: (\S+)/.exec(told) ?? []
      return score
    }
    const scores = [await rate('cbtor.service'), await rate('cbtor-tunnels.service')]
    await good('cp -r /usr/lib/cbtor/deploy/cbtor.service.d /etc/systemd/system/')
    const locked = await rate('cbtor.service')
    await good('rm -r /etc/systemd/system/cbtor.service.d')
    t.diagnostic(`the service ${scores[0]}, under the lock ${locked}, the helper of tunnels ${scores[1]}`)
    assert.notEqual(locked, scores[0], 'the lock was looked at')
  })

  it('shows everything on a private Tor network', async () => {
    const shown = await good('cbtor demo --once --listen 127.0.0.1:0')
    assert.match(shown, /^onion service .* 200 /m)
  })

  it('keeps the configuration and the state when it is installed over another one', async () => {
    await good('echo "log: warn" >>/etc/cbtor/cbtor.yaml; touch /var/lib/cbtor/cbtor.db')
    const told = await good('dpkg -i /package.deb')
    assert.doesNotMatch(told, /does not run yet/)
    assert.match(await good('tail -n 1 /etc/cbtor/cbtor.yaml; ls /var/lib/cbtor'), /^log: warn\ncbtor\.db$/)
  })

  it('leaves the state when it is removed, and nothing when it is purged', async () => {
    await good('dpkg --remove cbtor')
    assert.deepEqual(await newFiles(), [
      '/etc/cbtor',
      '/etc/cbtor/cbtor.yaml',
      '/var/lib/cbtor',
      '/var/lib/cbtor/cbtor.db',
    ])
    await good('dpkg --purge cbtor')
    assert.deepEqual(await newFiles(), [])
    const gone: Ran = await root.run('getent passwd cbtor || getent group cbtor')
    assert.notEqual(gone.code, 0)
  })
})
