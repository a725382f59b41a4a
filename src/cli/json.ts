import type { TextOutput } from './parts.ts'

/** A document for programs, readable for people. */
export function writeJson(out: TextOutput, body: unknown): void {
  out.write(`${JSON.stringify(body, null, 2)}\n`)
}
