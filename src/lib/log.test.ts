import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogger, type LogFormat, type LogLevel } from './log.ts'

describe('the log', () => {
  it('is JSON lines where no terminal reads it, and text where one does', () => {
    assert.match(
      said({ isTTY: false }),
      /^\{"level":30,"time":"[^"]+","worker":"tor01","ms":5,"msg":"all is well"\}\n$/,
    )
    assert.match(said({ isTTY: true }), PRETTY)
    assert.match(said({ isTTY: false, format: 'pretty' }), PRETTY)
    assert.match(said({ isTTY: true, format: 'json' }), /^\{.*\}\n$/)
  })

  it('has colours on a terminal only, and not when NO_COLOR is set', () => {
    const isColoured = (options: Parameters<typeof said>[0]) =>
      said({ format: 'pretty', ...options }).includes('\u001b[')
    assert.equal(isColoured({ isTTY: true, env: {} }), true)
    assert.equal(isColoured({ isTTY: true, env: { NO_COLOR: '' } }), true)
    assert.equal(isColoured({ isTTY: true, env: { NO_COLOR: '1' } }), false)
    assert.equal(isColoured({ isTTY: false, env: {} }), false)
  })

  it('shows words as they are and everything else as JSON', () => {
    const fields = { worker: 'tor01', reason: 'it is "gone"', n: 1, list: ['a'], nothing: null, blank: '' }
    assert.match(
      said({ format: 'pretty', fields }),
      / worker=tor01 reason="it is \\"gone\\"" n=1 list=\["a"\] nothing=null blank=""\n$/,
    )
  })

  it('does not say to people again what the message says, nor more digits than they read', () => {
    const fields = {
      event: 'went',
      id: 1_795_656_008_308,
      worker: 'all',
      is: 'well',
      text: 'all is well',
      part: 'a',
      ms: 57.94252,
    }
    assert.match(said({ format: 'pretty', fields }), / all is well event=went part=a ms=57\.9\n$/)
    assert.match(said({ format: 'json', fields }), /"id":1795656008308,"worker":"all"/)
  })

  it('says nothing below its level', () => {
    assert.equal(said({ level: 'warn' }), '')
    assert.equal(said({ level: 'silent' }), '')
  })

  for (const format of ['json', 'pretty'] as const) {
    it(`lets no text from outside break a line or steer a terminal, as ${format}`, () => {
      const evil = 'a\r\nb\u001b[2Jc\u009bd\u2028e\u202ef\u0000'
      const lines: string[] = []
      const logger = createLogger('info', { write: (text) => void lines.push(text) }, format).child({ [evil]: evil })
      logger.info({ evil, deep: { list: [evil, { [evil]: evil }] } }, evil)
      assert.equal(lines.length, 1)
      const written = lines.join('').slice(0, -1)
      assert.doesNotMatch(written, /[\p{Cc}\p{Bidi_Control}\u2028]|\\[rn]|\\u00/u)
      assert.equal(written.split('a??b?[2Jc?d?e?f?').length - 1, 7)
    })
  }

  it('has of an error where it came from and not what it says', () => {
    const error = Object.assign(new TypeError('no host secret.example'), { code: 'ENOTFOUND', host: 'secret.example' })
    for (const fields of [{ err: error }, { deep: [{ error }] }]) {
      const line = said({ fields })
      assert.match(line, /"error":"TypeError ENOTFOUND","at":\["at .*log\.test\.ts/)
      assert.doesNotMatch(line, /secret/)
    }
  })
})

const PRETTY = /^\d\d:\d\d:\d\d\.\d{3} info {2}all is well worker=tor01 ms=5\n$/

/** What is written of one entry at level `info`. */
function said(options: {
  readonly isTTY?: boolean
  readonly level?: LogLevel
  readonly format?: LogFormat
  readonly fields?: object
  readonly env?: Record<string, string>
}): string {
  const { isTTY = false, level = 'info', format = 'auto', fields, env = { NO_COLOR: '1' } } = options
  const lines: string[] = []
  const logger = createLogger(level, { write: (text) => void lines.push(text), isTTY }, format, env)
  logger.info({ ...(fields ?? { worker: 'tor01', ms: 5 }) }, 'all is well')
  return lines.join('')
}
