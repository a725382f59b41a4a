import { faultFields } from './fault-fields.ts'

/**
 * Has the process end by an error that nobody has caught without writing what the error says and holds, which may be a target, a
 * header or a key. Node would write all of it. What is written is the class of the error and where it came from.
 */
export function crashWithoutSecrets(): void {
  // Rejections that nobody handles come here, too.
  process.on('uncaughtException', (bug: unknown) => {
    const { error, at } = faultFields(bug)
    process.stderr.write(`cbtor: ended by a bug, please report it: ${[error, ...at].join('\n    ')}\n`)
    process.exit(1)
  })
}
