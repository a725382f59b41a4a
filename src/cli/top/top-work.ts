/** What `cbtor top` does. */
import { ask } from '../ask.ts'
import type { TopFlags } from '../commands/top.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { showLine } from './styled.ts'
import { topFrame } from './top-frame.ts'
import { showTop } from './top-screen.ts'

const COLUMNS = 120
const EVENTS_SHOWN = 8

export async function runTop(flags: TopFlags, parts: ServiceParts): Promise<void> {
  const { terminal, env, clock, signal } = parts
  if (terminal === undefined || flags.once || flags.json) {
    await showOnce(flags, parts)
    return
  }
  const hasColours = !env.NO_COLOR && env.TERM !== 'dumb'
  await showTop({ api: await parts.connect(flags), terminal, clock, hasColours }, signal)
}

async function showOnce(flags: TopFlags, parts: ServiceParts): Promise<void> {
  const { live, events } = await ask(flags, parts, async (api, signal) => ({
    live: await api.live(signal),
    events: (await api.events({ limit: EVENTS_SHOWN }, signal)).events,
  }))
  if (flags.json) {
    writeJson(parts.out, live)
    return
  }
  const columns = parts.terminal?.columns ?? COLUMNS
  const view = {
    columns,
    rows: Number.POSITIVE_INFINITY,
    footer: [],
    sort: 'n',
    isReversed: false,
    chosen: undefined,
  } as const
  const lines = topFrame({ live, events }, view).map((line) => showLine(line, columns, 'plain'))
  parts.out.write(`${lines.join('\n')}\n`)
}
