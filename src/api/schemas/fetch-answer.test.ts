import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ANYBODY } from '../../domain/caller.ts'
import type { FetchAnswer } from '../../domain/exchange.ts'
import { fakeAnswer } from '../fake-backend.ts'
import { fetchAnswerBody, toFetchAnswerBody } from './fetch-answer.ts'
import { fetchBody, toFetchRequest } from './fetch-request.ts'

// The route writes answers without looking through them again, so they have to be what the schema says, and no more.
const request = toFetchRequest(fetchBody.parse({ url: 'http://example.com/' }), ANYBODY, undefined)
const relay = { nickname: 'guard1', fingerprint: 'A'.repeat(40) }
const answers: Readonly<Record<string, Partial<FetchAnswer>>> = {
  'with as little as there can be': { headers: [], body: Buffer.alloc(0), exit: undefined, attempts: [] },
  'with all that there can be': {
    headers: [
      ['vary', 'accept'],
      ['vary', 'origin'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ],
    body: Buffer.from([0xff, 0]),
    redirects: [{ status: 302, from: 'http://example.com/', to: 'http://example.com/b' }],
    circuitPath: [relay, { ...relay, country: 'de' }],
    sessionMoved: true,
    hedged: true,
    truncated: true,
  },
  'of a circuit that nobody told': { circuitPath: undefined },
}

for (const [name, change] of Object.entries(answers)) {
  it(`an answer ${name} is what its schema says`, () => {
    const body = toFetchAnswerBody(fakeAnswer(request, change), 'auto')
    assert.deepEqual(fetchAnswerBody.parse(body), body)
  })
}

it('leaves out a header that would be the prototype of an object', () => {
  const headers = [['__proto__', 'x'] as const, ['etag', '"1"'] as const]
  const body = toFetchAnswerBody(fakeAnswer(request, { headers }), 'auto')
  assert.equal(JSON.stringify(body.headers), JSON.stringify({ etag: '"1"' }))
})
