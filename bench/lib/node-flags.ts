import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../stage/root.ts'

/** What `npm start` gives to Node: services that are measured run as it runs them. */
export function nodeFlags(): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
  const [, flags = ''] = /\bnode ((?:--\S+ )*)src\/main\.ts/.exec(scripts.start) ?? []
  return flags.split(' ').filter((flag) => flag !== '')
}
