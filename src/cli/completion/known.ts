import type { Value } from './command-tree.ts'

/** What only a running service knows, asked by its own commands: the words of that kind, one a line. */
export const ASKED: Readonly<Partial<Record<Value['kind'], string>>> = {
  worker: "cbtor workers list 2>/dev/null | awk 'NR > 1 { print $2 }'",
  session: "cbtor sessions list 2>/dev/null | awk 'NR > 1 { print $1 }'",
  job: "cbtor jobs list 2>/dev/null | awk 'NR > 1 { print $1 }'",
  key: "cbtor keys list 2>/dev/null | awk 'NR > 1 { print $1 }'",
}

/** As one word of any of the shells. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
