import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createTargetRules, targetRuleFault, type WrittenTargetRules } from './target-rules.ts'

const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'

describe('rules for targets', () => {
  it('match networks, hosts with all names below them, and ports', () => {
    const cases: [rules: WrittenTargetRules, mayReach: string[], mayNot: [target: string, why: 'host' | 'port'][]][] = [
      [{}, ['example.com:80', '93.184.216.34:443', '2606:2800::1:80', `${ONION}:80`], []],
      [
        { deny: ['example.com'] },
        ['example.org:80', 'notexample.com:80', 'example.com.org:80', '1.1.1.1:80'],
        ['example.com:80', 'www.example.com:443', 'a.b.c.example.com:80'].map((each) => [each, 'host']),
      ],
      [
        { allow: ['example.com'] },
        ['example.com:80', 'www.example.com:443'],
        ['example.org:80', 'badexample.com:80', '1.1.1.1:80', `${ONION}:80`].map((each) => [each, 'host']),
      ],
      [
        { deny: ['93.184.216.0/24', '2606:2800::/32'] },
        ['93.184.217.1:80', '2606:2801::1:80', 'example.com:80'],
        ['93.184.216.34:80', '2606:2800:220:1::1:80'].map((each) => [each, 'host']),
      ],
      [
        { allow: ['93.184.216.34'] },
        ['93.184.216.34:80'],
        ['93.184.216.35:80', '2606:2800::1:80', 'example.com:80'].map((each) => [each, 'host']),
      ],
      [{ deny: [':80'] }, ['example.com:443'], [['example.com:80', 'port']]],
      [{ allow: [':443', ':8443'] }, ['example.com:443', '1.1.1.1:8443', `${ONION}:443`], [['example.com:80', 'port']]],
      [
        { allow: ['example.com', ':443'] },
        ['example.com:443', 'www.example.com:443'],
        [
          ['example.com:80', 'port'],
          ['example.org:443', 'host'],
        ],
      ],
      [
        { allow: ['example.com'], deny: ['private.example.com', ':8080'] },
        ['example.com:80', 'public.example.com:443'],
        [
          ['private.example.com:80', 'host'],
          ['x.private.example.com:80', 'host'],
          ['example.com:8080', 'port'],
        ],
      ],
      [{ allow: ['onion'] }, [`${ONION}:80`, `www.${ONION}:80`], [['example.com:80', 'host']]],
      [
        { deny: ['.onion', 'COM', 'bücher.example', 'example.net.'] },
        ['a.org:80'],
        [
          [`${ONION}:80`, 'host'],
          ['a.com:80', 'host'],
          ['xn--bcher-kva.example:80', 'host'],
          ['www.example.net:80', 'host'],
        ],
      ],
    ]
    for (const [written, mayReach, mayNot] of cases) {
      const rules = createTargetRules(written)
      const refusalOf = (target: string) => {
        const [, host = '', port] = /^(.+):(\d+)$/.exec(target) ?? []
        if (!rules.mayReachHost(host)) return 'host'
        return rules.mayReachPort(Number(port)) ? undefined : 'port'
      }
      for (const target of mayReach) assert.equal(refusalOf(target), undefined, `${JSON.stringify(written)} ${target}`)
      for (const [target, why] of mayNot) assert.equal(refusalOf(target), why, `${JSON.stringify(written)} ${target}`)
    }
  })

  it('are told from what is none, by name', () => {
    const none = [
      ...[
        '',
        ':',
        ':0',
        ':65536',
        ':x',
        ':443x',
        '-',
        'a..b',
        '*.example.com',
        'example.com:443',
        'http://example.com',
      ],
      ...[
        '10.0.0.0/33',
        '::/129',
        '10.0.0.0/',
        '/8',
        '10.0.0/8',
        '127.1',
        '2130706433',
        '0x7f.1',
        '[::1]',
        'fe80::1%lo',
      ],
      ...['a b', 'a_b.test', 'a/b', 'me@a.test', 'a\n', `${'a'.repeat(64)}.test`, 'a.'.repeat(130)],
    ]
    for (const entry of none) {
      assert.match(targetRuleFault(entry) ?? '', /expected a network such as/, JSON.stringify(entry))
      assert.throws(() => createTargetRules({ deny: [entry] }), RangeError, JSON.stringify(entry))
      assert.throws(() => createTargetRules({ allow: [entry] }), RangeError, JSON.stringify(entry))
    }
    for (const entry of ['1.1.1.1', '::1', '10.0.0.0/8', '::/0', ':1', ':65535', 'a', 'a.b', 'onion', 'BÜCHER.example'])
      assert.equal(targetRuleFault(entry), undefined, entry)
  })
})
