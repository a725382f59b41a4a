import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDestination, parseSshHost, showDestination } from './destination.ts'
import { SshError } from './errors.ts'

describe('parseDestination', () => {
  it('reads user, host and port, root and 22 when left out', () => {
    assert.deepEqual(parseDestination('192.0.2.11'), { user: 'root', host: '192.0.2.11', port: 22 })
    assert.deepEqual(parseDestination('root@box-1.lan:2222'), { user: 'root', host: 'box-1.lan', port: 2222 })
    assert.deepEqual(parseDestination('admin@[2001:db8::1]:65535'), { user: 'admin', host: '2001:db8::1', port: 65535 })
    assert.deepEqual(parseDestination('[fe80::1%eth0]'), { user: 'root', host: 'fe80::1%eth0', port: 22 })
    assert.deepEqual(parseDestination('OpenWrt.'), { user: 'root', host: 'OpenWrt.', port: 22 })
  })

  it('shows what it has read in the form in which it reads', () => {
    for (const text of ['root@192.0.2.11:22', 'root@[2001:db8::1]:22', 'a@box.lan:1'])
      assert.equal(showDestination(parseDestination(text)), text)
  })

  const REFUSED: readonly (readonly [text: string, why: RegExp])[] = [
    ['', /empty/],
    ['-oProxyCommand=touch /tmp/x', /blank/],
    ['-oProxyCommand=x', /begin with "-"/],
    ['root@-oProxyCommand=x', /begin with "-"/],
    ['-l@192.0.2.11', /begin with "-"/],
    ['a;reboot', /letters, digits/],
    ['root@a;reboot', /letters, digits/],
    ['$(reboot)', /letters, digits/],
    ['`reboot`@192.0.2.11', /user name has letters/],
    ['a b', /blank/],
    [' 192.0.2.11', /blank/],
    ['192.0.2.11\n', /printable ASCII/],
    ['192.0.2.11\0', /printable ASCII/],
    ['b\u00fcchse.lan', /xn--/],
    ['@192.0.2.11', /no user/],
    ['root:secret@192.0.2.11', /by key alone/],
    [`${'u'.repeat(33)}@192.0.2.11`, /at most 32/],
    ['root@', /host is missing/],
    ['root@:22', /host is missing/],
    ['192.0.2.11:', /no port/],
    ['192.0.2.11:0', /no port/],
    ['192.0.2.11:65536', /no port/],
    ['192.0.2.11:+22', /no port/],
    ['192.0.2.11:22:22', /several/],
    ['2001:db8::1', /in brackets/],
    ['[2001:db8::1', /brackets/],
    ['[2001:db8::1]22', /brackets/],
    ['[192.0.2.11]:22', /no IPv6/],
    ['[fe80::1%a;b]', /no IPv6/],
    ['192.0.2.256', /no IPv4/],
    ['192.0.2', /no IPv4/],
    ['box..lan', /empty part/],
    ['box-.lan', /ends with "-"/],
    [`${'a'.repeat(64)}.lan`, /at most 63/],
    [`${'a.'.repeat(127)}lan`, /at most 253/],
    ['ssh://root@192.0.2.11', /URL/],
    [`${'a'.repeat(56)}.onion`, /through Tor/],
  ]
  for (const [text, why] of REFUSED)
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(
        () => parseDestination(text),
        (error) => {
          assert.ok(error instanceof SshError)
          assert.equal(error.fault, 'invalid')
          assert.match(error.message, why)
          assert.match(error.message, /Right would be|stands in brackets/)
          assert.match(error.message, /^[\x20-\x7e]+$/)
          return true
        },
      )
    })
})

describe('parseSshHost', () => {
  it('takes names and addresses, IPv6 with and without brackets', () => {
    assert.equal(parseSshHost('box.lan'), 'box.lan')
    assert.equal(parseSshHost('192.0.2.11'), '192.0.2.11')
    assert.equal(parseSshHost('2001:db8::1'), '2001:db8::1')
    assert.equal(parseSshHost('[2001:db8::1]'), '2001:db8::1')
  })

  it('refuses a user, a port and whatever could be an option', () => {
    for (const text of ['root@box.lan', 'box.lan:22', '-oProxyCommand=x', 'a;reboot', ''])
      assert.throws(() => parseSshHost(text), { name: 'SshError', fault: 'invalid' })
  })
})
