import { join } from 'node:path'
import type { Case } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'
import { pageAfter } from '../stage/stages.ts'

const ROUNDS = 2

export const start: Case = {
  name: 'start',
  title: 'From the start of the programs to the first page, four Tors',
  async run(stages, { rounds }, say) {
    const stage = await stages.tor(0)
    const times = new Map<string, number[]>()
    for (let round = 0; round < Math.min(ROUNDS, rounds); round++)
      for (const state of ['cold', 'warm'] as const)
        for (const who of ['bare tor', 'CBTOR'] as const) {
          say(`start: ${state}, ${who}`)
          // The warm one finds what the cold one has left.
          const seconds = await pageAfter(who, stage, join(stage.network.directory, `start${round}`))
          const key = `${state} directory|${who}`
          times.set(key, [...(times.get(key) ?? []), seconds])
        }
    return [...times].map(([key, values]): Figure => {
      const [variant = '', contestant = ''] = key.split('|')
      return { case: 'start', variant, contestant, unit: 's', values }
    })
  },
}
