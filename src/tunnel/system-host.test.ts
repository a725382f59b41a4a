import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createWireguardKeys } from '../boxes/wireguard-keys.ts'
import { systemClock } from '../lib/clock.ts'
import { SystemHost } from './system-host.ts'

const clock = systemClock

describe('SystemHost', { timeout: 20_000 }, () => {
  it('gives what a program said and its exit code', async (t) => {
    const host = new SystemHost({ clock })
    const { code, stdout } = await host.run({ program: 'ip', args: ['-j', 'link', 'show', 'dev', 'lo'] }, t.signal)
    assert.deepEqual([code, JSON.parse(stdout)[0].ifname], [0, 'lo'])
    const nothing = await host.run({ program: 'ip', args: ['link', 'show', 'dev', 'none-such'] }, t.signal)
    assert.deepEqual([nothing.code, nothing.stdout], [1, ''])
    assert.match(nothing.stderr, /does not exist/)
  })

  it('hands over what is secret by standard input, also to a program that opens it by its path', async (t) => {
    const { privateKey, publicKey } = createWireguardKeys()
    const host = new SystemHost({ clock })
    const { stdout } = await host.run({ program: 'wg', args: ['pubkey'], stdin: privateKey }, t.signal)
    assert.equal(stdout.trim(), publicKey)
    const byPath = await host.run(
      { program: 'ip', args: ['-batch', '/dev/stdin'], stdin: 'link show dev lo\n' },
      t.signal,
    )
    assert.match(byPath.stdout, /\blo:/)
  })

  it('takes arguments as they are', async (t) => {
    const { stderr } = await new SystemHost({ clock }).run(
      { program: 'ip', args: ['link', 'show', 'dev', '$(id)'], stdin: '' },
      t.signal,
    )
    assert.match(stderr, /\$\(id\)/)
  })

  it('says which package a missing program is in', async (t) => {
    const host = new SystemHost({ clock, prefix: ['env', 'PATH=/nonexistent'] })
    await assert.rejects(host.run({ program: 'nft', args: ['list', 'tables'] }, t.signal), {
      fault: 'not-installed',
      message:
        'Cannot work on a tunnel: there is no program "nft". Install it (Debian, Ubuntu, Fedora, Alpine: the package "nftables")',
    })
    const prefix = ['/nonexistent/program']
    await assert.rejects(new SystemHost({ clock, prefix }).run({ program: 'ip', args: ['rule'] }, t.signal), {
      fault: 'not-installed',
    })
  })

  it('ends a program that takes too long, with all that it has started, and one that is no longer wanted', async (t) => {
    const slow = new SystemHost({ clock, prefix: ['sh', '-c', 'sleep 60 & wait', 'sh'] })
    await assert.rejects(slow.run({ program: 'wg', args: ['show', 'wg-tor01', 'dump'] }, t.signal), {
      fault: 'failed',
      message: 'Cannot run "wg show wg-tor01": it did not end within 3000 ms',
    })
    const abort = new AbortController()
    const run = slow.run({ program: 'ip', args: ['rule'] }, abort.signal)
    abort.abort(new Error('no longer wanted'))
    await assert.rejects(run, /no longer wanted/)
  })
})
