import type { RunningService, RunningTestNetwork } from '../parts.ts'

/** Something that happens to a worker without anybody having asked for it. */
export interface FaultKind {
  readonly name: 'kill' | 'freeze' | 'blackhole'
  /** The state in which the worker no longer gets its share of the traffic. */
  readonly noticedAs: readonly ('suspect' | 'dead')[]
  inject(worker: Victim): Promise<void>
  /** What ends the fault; recovery ends the others by itself. */
  end?(worker: Victim): Promise<void>
}

export interface Victim {
  readonly id: string
  /** 1 to N, also the number of the worker's Tor among the network's clients. */
  readonly n: number
}

export function faultKinds(service: RunningService, network: RunningTestNetwork): Record<FaultKind['name'], FaultKind> {
  const send = (worker: Victim, signal: NodeJS.Signals) => {
    const pid = service.pids()[worker.id]
    if (pid === undefined) throw new Error(`Cannot send ${signal} to ${worker.id}: its Tor does not run`)
    process.kill(pid, signal)
  }
  return {
    kill: { name: 'kill', noticedAs: ['dead'], inject: async (worker) => send(worker, 'SIGKILL') },
    freeze: { name: 'freeze', noticedAs: ['dead'], inject: async (worker) => send(worker, 'SIGSTOP') },
    blackhole: {
      name: 'blackhole',
      noticedAs: ['suspect', 'dead'],
      inject: ({ n }) => network.blackhole(n, true),
      end: ({ n }) => network.blackhole(n, false),
    },
  }
}
