import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parseTraceParent } from './trace-parent.ts'

const [TRACE, SPAN] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']

it('reads a traceparent as the standard has it, and takes anything else for none', () => {
  assert.deepEqual(parseTraceParent(`00-${TRACE}-${SPAN}-01`), { traceId: TRACE, spanId: SPAN, isSampled: true })
  assert.equal(parseTraceParent(`00-${TRACE}-${SPAN}-00`)?.isSampled, false)
  assert.equal(parseTraceParent(`cc-${TRACE}-${SPAN}-03-what-is-new`)?.isSampled, true)
  for (const text of [
    ...['', 'nonsense', `00-${TRACE}-${SPAN}`, `00-${TRACE}-${SPAN}-1`, `00-${TRACE}-${SPAN}-01-more`],
    ...[`ff-${TRACE}-${SPAN}-01`, `00-${TRACE.toUpperCase()}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01 `],
    ...[`00-${'0'.repeat(32)}-${SPAN}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`],
  ])
    assert.equal(parseTraceParent(text), undefined, text)
  assert.equal(parseTraceParent(undefined), undefined)
})
