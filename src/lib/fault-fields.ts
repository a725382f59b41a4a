/** What may be written of an error that nobody expected. */
export type FaultFields = {
  /** The name of its class, with the system's code where it has one: `Error ECONNREFUSED`. */
  readonly error: string
  /** The frames of its stack. */
  readonly at: readonly string[]
}

/** Of an error where it came from, and not its message, which may quote a target, a header or a key. */
export function faultFields(error: unknown): FaultFields {
  if (!(error instanceof Error)) return { error: typeof error, at: [] }
  const { stack = '' } = error
  const name = /^[\w$]{1,40}$/.test(error.name) ? error.name : 'Error'
  const code = 'code' in error && typeof error.code === 'string' && /^[\w-]{1,40}$/.test(error.code) ? error.code : ''
  const at = stack.split('\n').flatMap((line) => (/^\s+at /.test(line) ? [line.trim()] : []))
  return { error: [name, code].filter(Boolean).join(' '), at }
}
