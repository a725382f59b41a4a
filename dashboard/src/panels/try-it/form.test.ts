import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { curlOf, EMPTY_FORM, fieldOf, MAX_BYTES, orderOf } from './form.ts'

const ALWAYS = { circuit_path: true, max_bytes: MAX_BYTES, allow_truncated: true }

describe('orderOf()', () => {
  it('leaves out what is empty', () => {
    assert.deepEqual(orderOf({ ...EMPTY_FORM, url: ' http://a.test/ ', timeoutS: '' }), {
      url: 'http://a.test/',
      ...ALWAYS,
    })
  })

  it('sends a header of whatever name as it was written', () => {
    const order = orderOf({ ...EMPTY_FORM, url: 'http://a.test/', headers: 'constructor: x\n__proto__: y' })
    assert.match(JSON.stringify(order), /"headers":\{"constructor":"x","__proto__":"y"\}/)
  })

  it('has every field that is filled in, and several values of one header', () => {
    const form = {
      ...{ url: 'http://a.test/', method: 'POST', mode: 'sticky' as const, stickyKey: 'k', country: 'DE ' },
      ...{ isolation: 'request' as const, worker: 'tor02', body: 'x', timeoutS: '2.5' },
      headers: 'Accept: text/html\n\nX-A:1\nX-A: 2:3\n',
    }
    assert.deepEqual(orderOf(form), {
      ...{
        url: 'http://a.test/',
        method: 'POST',
        mode: 'sticky',
        sticky_key: 'k',
        country: 'de',
        isolation: 'request',
      },
      ...{ worker: 'tor02', body: 'x', timeout_ms: 2_500, headers: { Accept: 'text/html', 'X-A': ['1', '2:3'] } },
      ...ALWAYS,
    })
  })

  it('says which line is no header', () => {
    const form = { ...EMPTY_FORM, url: 'http://a.test/', headers: 'Accept: x\nnonsense' }
    assert.throws(() => orderOf(form), /Cannot send the header "nonsense": a line is a name, a colon and a value/)
  })
})

describe('fieldOf()', () => {
  it('finds the field that a fault is about', () => {
    assert.deepEqual(['url', 'timeout_ms', 'sticky_key', 'headers/x', 'max_bytes'].map(fieldOf), [
      ...['url', 'timeoutS', 'stickyKey', 'headers'],
      undefined,
    ])
  })
})

describe('curlOf()', () => {
  it('is a command that a shell reads as it was meant, whatever stands in the fields', () => {
    const order = orderOf({ ...EMPTY_FORM, url: 'http://a.test/\'$(touch x)`id`"\\n', headers: "A: it's" })
    const line = curlOf(order, 'http://127.0.0.1:1', true)
    const said = execFileSync('sh', ['-c', `curl() { printf '%s\\0' "$@"; }; KEY=cbt_x; ${line}`], { encoding: 'utf8' })
    assert.deepEqual(said.split('\0').slice(0, -1), [
      ...['-s', 'http://127.0.0.1:1/api/v1/fetch', '-H', 'Authorization: Bearer cbt_x'],
      ...['-H', 'content-type: application/json', '-d', JSON.stringify(order)],
    ])
    assert.doesNotMatch(curlOf(order, 'http://127.0.0.1:1', false), /KEY/)
  })
})
