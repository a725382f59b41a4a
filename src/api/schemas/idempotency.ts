import { createHash } from 'node:crypto'
import { z } from 'zod'

const KEY = 'must be 1 to 255 printable ASCII characters without blanks'

export const idempotencyKey = z.string({ error: KEY }).regex(/^[\x21-\x7e]{1,255}$/, { error: KEY })

/** The same for bodies that mean the same: in a body that was checked, defaults are filled in and fields in the schema's order. */
export function digestOf(checkedBody: object): string {
  return createHash('sha256').update(JSON.stringify(checkedBody)).digest('base64url')
}
