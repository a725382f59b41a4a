import type { TextOutput } from './parts.ts'

/** A document for programs, readable for people. */
export function writeJson(out: TextOutput, body: unknown): void {
  out.write(`${jsonText(body, 2)}\n`)
}

/** JSON itself leaves some of those characters as they are that give a terminal orders. */
export function jsonText(body: unknown, indent?: number): string {
  return JSON.stringify(body, null, indent).replace(/[\x7f-\x9f]/g, (character) => {
    return `\\u00${character.charCodeAt(0).toString(16)}`
  })
}
