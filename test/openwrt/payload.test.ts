import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ONION_TEST_SITES } from '../../src/health/onion-test-sites.ts'

const OPENWRT = fileURLToPath(new URL('../../openwrt/', import.meta.url))
const read = (path: string): string => readFileSync(join(OPENWRT, path), 'utf8')
const files = globSync('**', { cwd: OPENWRT }).filter((path) => statSync(join(OPENWRT, path)).isFile())
const exec = promisify(execFile)

describe('what is put on a box', () => {
  it('has shell scripts that shellcheck has nothing to say about', async () => {
    const scripts = files.filter((path) => read(path).startsWith('#!/bin/sh'))
    assert.ok(scripts.includes('tor-health-check.sh') && scripts.length >= 2)
    await exec('shellcheck', ['-s', 'sh', ...scripts], { cwd: OPENWRT })
    for (const path of scripts) assert.ok((read(path).match(/shellcheck disable/g) ?? []).length <= 1, path)
  })

  it('names every file in its README, and in its manifest those that are copied as they are', () => {
    const readme = read('README.md')
    for (const path of files)
      assert.ok(
        readme.includes(`\`${path}\``) || readme.includes(`\`${path.split('/')[0]}/*\``) || path === 'README.md',
        path,
      )
    for (const line of read('manifest').trim().split('\n')) {
      const [, mode = '', here = '', there = ''] = /^(0[67][45][45]) (\S+) (\/\S+)$/.exec(line) ?? []
      assert.ok(files.includes(here), line)
      assert.ok(readme.includes(`\`${there}\``), line)
      assert.equal(mode, here.endsWith('.sh') ? '0755' : '0644', line)
    }
  })

  it('outlives a firmware upgrade', () => {
    const kept = [...read('sysupgrade.conf').trim().split('\n'), '/etc/tor/torrc.d/']
    const targets = read('manifest')
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[2] ?? '')
    assert.deepEqual(
      targets.filter((path) => !kept.some((prefix) => path === prefix || path.startsWith(prefix))),
      [],
    )
  })

  it('asks the six sites that the gateway asks', () => {
    const sites = read('onion-test-sites.txt')
      .split('\n')
      .filter((line) => line && !line.startsWith('#'))
    assert.deepEqual(
      sites,
      ONION_TEST_SITES.map(({ url }) => new URL(url).hostname),
    )
  })

  it('has a torrc that Tor takes, after one as it is on a box', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cbtor-payload-'))
    try {
      const torrc = join(directory, 'torrc')
      await writeFile(torrc, `DataDirectory ${directory}\n%include ${join(OPENWRT, 'torrc.d/cbtor.conf')}\n`)
      const { stdout } = await exec('tor', ['--verify-config', '-f', torrc])
      assert.match(stdout, /Configuration was valid/)
      // Listening on every address is what we want: the file says why. Tests may run as root.
      assert.doesNotMatch(stdout, /\[warn\] (?!You specified a public address|You are running Tor as root)/)
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('has nft rules that nft takes, inside of a table', async () => {
    const [program, ...args] = ['unshare', '--map-root-user', '--net', '--', 'nft', '--check', '--file', '/dev/stdin']
    const run = exec(program ?? '', args)
    run.child.stdin?.end(`table inet fw4 {\n include "${join(OPENWRT, 'nftables.d/cbtor.nft')}"\n}\n`)
    await run
  })

  it('has UCI batches in which every section is deleted before it is made, and that end with a commit', () => {
    for (const path of files.filter((name) => name.endsWith('.uci'))) {
      const lines = read(path).trim().split('\n')
      const config = path.split('/').at(-1)?.replace('.uci', '') ?? ''
      assert.equal(lines.pop(), `commit ${config}`, path)
      const deleted = new Set<string>()
      const made = new Set<string>()
      for (const line of lines) {
        const [, verb, section = '', option, value] =
          /^(delete|set|add_list|del_list) (\w+\.\w+)(?:\.(\w+))?(?:='([^']*)')?$/.exec(line) ?? assert.fail(line)
        assert.equal(section.split('.')[0], config, line)
        if (verb === 'delete') deleted.add(section)
        else if (verb === 'set' && option === undefined) {
          assert.ok(deleted.has(section) && value, line)
          made.add(section)
        } else if (section !== 'tor.conf') assert.ok(made.has(section) && option && value, line)
      }
      assert.deepEqual(deleted, made, path)
    }
  })

  it('lets nothing through from the tunnel to another zone', () => {
    for (const path of ['firewall.uci', 'nftables.d/firewall.uci']) {
      assert.doesNotMatch(read(path), /='forwarding'|forward='ACCEPT'|\.dest='/, path)
      assert.match(read(path), /cbtor_zone\.input='REJECT'\n.*\n.*cbtor_zone\.forward='REJECT'/, path)
    }
  })

  it('names each placeholder in its README, and has them in one file', () => {
    const readme = read('README.md')
    for (const path of files.filter((name) => name !== 'README.md'))
      for (const [placeholder] of read(path).matchAll(/@[A-Z_]+@/g)) {
        assert.equal(path, 'network.uci')
        assert.ok(readme.includes(`\`${placeholder}\``), placeholder)
      }
  })

  it('says in health.conf what the script takes for granted', () => {
    const script = read('tor-health-check.sh')
    for (const [line] of read('health.conf').matchAll(/^[A-Z_]+=\d+$/gm))
      assert.ok(script.includes(`\t${line}\n`), line)
    assert.equal([...read('health.conf').matchAll(/^[A-Z_]+=/gm)].length, 7)
  })
})
