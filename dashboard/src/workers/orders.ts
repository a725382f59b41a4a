import type { LiveRequestBody, LiveWorkerBody, NewCircuitsBody } from '../api/bodies.ts'
import type { Confirmation } from '../ui/button.tsx'
import type { IconName } from '../ui/icon.tsx'
import { counted } from '../ui/text.ts'

/** What an operator can order of one worker. */
export interface Order {
  readonly name: 'start' | 'stop' | 'restart' | 'drain' | 'enable' | 'newnym' | 'reboot'
  readonly text: string
  readonly icon: IconName
  readonly isDanger?: true
  readonly path: string
  readonly body?: object
  /** What it costs; undefined when it costs nothing. */
  readonly confirm?: Confirmation
  /** What is said once it is done. */
  readonly done: string
}

/** What there is besides the worker itself. */
export interface Surroundings {
  readonly workers: readonly LiveWorkerBody[]
  /** Those under way. */
  readonly requests: readonly LiveRequestBody[]
}

/** The orders that make sense for a worker as it is, each with what it costs now. */
export function ordersFor(worker: LiveWorkerBody, around: Surroundings): readonly Order[] {
  const { id, desired } = worker
  const at = `/api/v1/tor/workers/${encodeURIComponent(id)}`
  const isStopped = desired === 'stopped'
  const orders: Order[] = []
  if (isStopped) {
    orders.push({ name: 'start', text: 'Start', icon: 'start', path: `${at}/tor/start`, done: `${id} is up.` })
  } else {
    orders.push({
      ...{ name: 'newnym', text: 'New circuits', icon: 'circuits', path: `${at}/newnym` },
      confirm: {
        title: `Give ${id} new circuits?`,
        text: `What begins on ${id} from now on leaves by other circuits, likely by other exits: sticky sessions on it lose theirs. Requests under way are not touched.`,
      },
      done: `${id} has new circuits.`,
    })
    orders.push({
      ...{ name: 'restart', text: 'Restart', icon: 'restart', path: `${at}/tor/restart` },
      confirm: {
        title: `Restart Tor of ${id}?`,
        text: `${lossText(worker, around)} It comes back with the same guards, which takes some seconds.${aloneText(worker, around)}`,
      },
      done: `${id} is back.`,
    })
  }
  if (desired === 'enabled') orders.push(drainOrder(worker, around))
  else {
    orders.push({
      ...{ name: 'enable', text: 'Enable', icon: 'enable', path: '/api/v1/workers/enable', body: { worker: id } },
      done: `${id} is in the pool again.`,
    })
  }
  if (!isStopped) {
    orders.push({
      ...{ name: 'stop', text: 'Stop', icon: 'stop', path: `${at}/tor/stop`, isDanger: true },
      confirm: {
        title: `Stop Tor of ${id}?`,
        text: `${lossText(worker, around)} It stays stopped until it is started or enabled.${aloneText(worker, around)}`,
      },
      done: `${id} is stopped.`,
    })
  }
  if (worker.kind === 'openwrt') {
    orders.push({
      ...{ name: 'reboot', text: 'Reboot box', icon: 'reboot', path: `${at}/reboot`, isDanger: true },
      confirm: {
        title: `Reboot the box of ${id}?`,
        text: `${lossText(worker, around)} A reboot takes a minute or two; everything else on the box ends, too.${aloneText(worker, around)}`,
      },
      done: `The box of ${id} has rebooted.`,
    })
  }
  return orders
}

/** Without another worker the service refuses it, unless it is told that this is meant. */
function drainOrder(worker: LiveWorkerBody, around: Surroundings): Order {
  const { id } = worker
  const isLast = aloneText(worker, around) !== ''
  return {
    ...{ name: 'drain', text: 'Drain', icon: 'drain', path: '/api/v1/workers/drain' },
    body: { worker: id, force: isLast },
    ...(isLast && {
      confirm: {
        title: `Drain ${id}, the last worker?`,
        text: `Requests under way on ${id} finish. No other worker takes traffic: new requests fail until one does.`,
      },
    }),
    done: `${id} takes no new requests; those under way finish.`,
  }
}

/** What becomes of the requests on the worker. */
function lossText(worker: LiveWorkerBody, { requests }: Surroundings): string {
  const { id, leases } = worker
  if (leases === 0) return `Nothing is under way on ${id}.`
  const tunnels = Math.min(leases, requests.filter((each) => each.worker === id && each.kind === 'tunnel').length)
  const others = leases - tunnels
  const parts = [
    ...(others > 0
      ? [
          `${counted(others, 'request')} under way on ${id} ${others === 1 ? 'is' : 'are'} given up there and tried on other workers where that is safe`,
        ]
      : []),
    ...(tunnels > 0 ? [`${counted(tunnels, 'tunnel')} through ${id} ${tunnels === 1 ? 'ends' : 'end'}`] : []),
  ]
  return `${parts.join('; ')}.`
}

/** Empty when others take traffic. */
function aloneText(worker: LiveWorkerBody, { workers }: Surroundings): string {
  const others = workers.some(({ id, receives_traffic: takes }) => id !== worker.id && takes)
  return others || !worker.receives_traffic ? '' : ' No other worker takes traffic: requests fail meanwhile.'
}

/** What Tor did, as far as it is known by now. */
export function newCircuitsText(id: string, answer: NewCircuitsBody | { readonly acts_at: string }): string {
  if ('acts_at' in answer) return `${id} will have new circuits: Tor renews them at most once in 10 s.`
  const names = (exits: NewCircuitsBody['exits_after']) => exits.map(({ nickname }) => nickname).join(', ')
  const after = names(answer.exits_after)
  const before = names(answer.exits_before)
  return `${id} has new circuits${after && `, by ${after}`}${before && ` (before: ${before})`}.`
}
