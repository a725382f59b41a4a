import { setTimeout as sleep } from 'node:timers/promises'
import type { Case } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { residentKiB } from '../stage/room.ts'

const TUNNELS = 2_000
/** Made before: what is made once is not of a tunnel. */
const FIRST = 200

export const idleTunnels: Case = {
  name: 'idle-tunnels',
  title: `Memory: ${TUNNELS} tunnels by CONNECT that carry nothing`,
  async run(stages, _effort, say) {
    const stage = await stages.tor(0)
    const figures: Figure[] = []
    for (const { title: contestant, way, pids } of stage.contestants) {
      const port = way.kind === 'connect' ? way.ports[0] : undefined
      if (port === undefined || pids.length === 0) continue
      say(`idle-tunnels: ${contestant}`)
      await stage.loader.openIdle(FIRST, port, stage.site)
      await sleep(2_000)
      const before = residentKiB(...pids)
      const stand = await stage.loader.openIdle(TUNNELS, port, stage.site)
      await sleep(2_000)
      const each = (residentKiB(...pids) - before) / (stand - FIRST)
      await stage.loader.closeIdle()
      const note = stand < TUNNELS + FIRST ? `only ${stand - FIRST} stand` : ''
      figures.push({ case: 'idle-tunnels', variant: 'resident, each', contestant, unit: 'KiB', values: [each], note })
    }
    return figures
  },
}
