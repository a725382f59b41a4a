/**
 * What lies outside the replicas: the boxes, which one or the other is told to restart, and the sites. A process of its own, so that it sees
 * what each of them does, whoever is killed. Takes the path of its sockets, the workers, and how long a site takes, as JSON.
 */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/lib/random.ts'
import {
  AILMENTS,
  type Ailment,
  type Break,
  type FromWorld,
  type Order,
  type ToWorld,
  type ToWorldParent,
  type WorkerState,
  type WorldReport,
} from './words.ts'

interface WorldOptions {
  readonly directory: string
  readonly workers: readonly string[]
  /** How long a site takes, on average. */
  readonly siteMs: number
}

/** How long a box needs to restart its Tor, or itself, until it is bootstrapped. */
const TAKES_MS = { restart: 1_500, reboot: 15_000 }

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface Box {
  state: WorkerState
  /** The break that nobody has mended yet. */
  broken: Mutable<Break> | undefined
  /** Of those who were at it since it broke: who, and whether the order is done. */
  orders: { readonly replica: string; readonly socket: Socket; isDone: boolean }[]
  fence: number
  healer: string | undefined
}

const options = JSON.parse(process.argv[2] ?? '{}') as WorldOptions
const random = seededRandom(11)
const boxes = new Map<string, Box>(
  options.workers.map((id) => [
    id,
    { state: 'well', broken: undefined, orders: [], fence: 0, healer: undefined } satisfies Box,
  ]),
)
const replicas = new Map<Socket, string>()
const orders: Order[] = []
const breaks: Break[] = []
const visits = { GET: new Map<string, number>(), POST: new Map<string, number>() }
const checks: Record<string, number> = {}
let breakEveryMs = 0

process.on('disconnect', () => process.exit()) // its parent has gone
process.on('message', (told: ToWorldParent) => {
  if (told.type === 'break') breakOne(told.worker, told.ailment)
  else if (told.type === 'break-of') breakSomeOf(told.replica, told.most)
  else if (told.type === 'break-each') breakEveryMs = told.everyMs
  else process.send?.(report())
})

createServer((socket) => {
  socket.on('error', () => {})
  socket.on('close', () => replicas.delete(socket))
  createInterface(socket)
    .on('error', () => {}) // a replica that is killed resets its connection,
    .on('line', (line) => {
      if (line.endsWith('}')) hear(socket, JSON.parse(line) as ToWorld) // and may have been in the middle of a line
    })
  for (const [worker, { state }] of boxes) tell(socket, { type: 'state', worker, state })
}).listen(`${options.directory}/world.sock`)
const site = createHttpServer((request, response) => void answer(request, response))
site.listen({ path: `${options.directory}/site.sock`, backlog: 2_048 }, () => process.send?.({ type: 'up' }))
void keepBreaking()

function hear(socket: Socket, told: ToWorld): void {
  if (told.type === 'hello') return void replicas.set(socket, told.replica)
  const box = boxes.get(told.worker)
  const replica = replicas.get(socket)
  if (box === undefined || replica === undefined) return
  if (told.type === 'order') return void carryOut(box, socket, replica, told)
  checks[replica] = (checks[replica] ?? 0) + 1
  box.healer = replica
}

async function carryOut(
  box: Box,
  socket: Socket,
  replica: string,
  { id, worker, step, fence }: Extract<ToWorld, { type: 'order' }>,
): Promise<void> {
  const isStale = fence !== undefined && fence < box.fence
  // Whoever was killed is at nothing any more; what it has done all the same was for this break.
  const isDouble = box.orders.some(
    (each) =>
      each.replica !== replica && (each.isDone || !each.socket.destroyed) && (box.state === 'well' || !each.isDone),
  )
  orders.push({ worker, replica, step, at: Date.now(), isDouble, isStale })
  if (isStale) return tell(socket, { type: 'done', id, error: 'its token is older than one that was seen' })
  box.fence = Math.max(box.fence, fence ?? 0)
  if (box.broken !== undefined) box.broken.orderedAt ??= Date.now()
  const own = { replica, socket, isDone: false }
  box.orders.push(own)
  await sleep(TAKES_MS[step])
  own.isDone = true
  mend(worker, box)
  tell(socket, { type: 'done', id })
}

function mend(worker: string, box: Box): void {
  if (box.broken !== undefined) box.broken.wellAt = Date.now()
  box.broken = undefined
  become(worker, box, 'well')
}

function breakOne(worker: string, ailment: Ailment): void {
  const box = boxes.get(worker)
  if (box === undefined || box.state !== 'well') return
  const broken = { worker, ailment, at: Date.now(), healer: box.healer, orderedAt: undefined, wellAt: undefined }
  box.broken = broken
  box.orders = []
  breaks.push(broken)
  become(worker, box, ailment)
}

function breakSomeOf(replica: string, most: number): void {
  const its = [...boxes].filter(([, { state, healer }]) => state === 'well' && healer === replica)
  for (const [worker] of its.slice(0, most)) breakOne(worker, 'dead')
}

function become(worker: string, box: Box, state: WorkerState): void {
  box.state = state
  for (const socket of replicas.keys()) tell(socket, { type: 'state', worker, state })
}

async function keepBreaking(): Promise<void> {
  for (;;) {
    await sleep(breakEveryMs === 0 ? 100 : breakEveryMs * (0.5 + random.float()))
    const well = [...boxes].filter(([, { state }]) => state === 'well')
    const [worker] = well[random.int(Math.max(1, well.length))] ?? []
    if (breakEveryMs > 0 && worker !== undefined) breakOne(worker, AILMENTS[random.int(AILMENTS.length)] ?? 'dead')
  }
}

/** Every path is the name of one request. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request
  for await (const _ of request);
  if (method === 'GET' || method === 'POST') visits[method].set(url, (visits[method].get(url) ?? 0) + 1)
  await sleep(options.siteMs * (0.25 + 1.5 * random.float()))
  response.setHeader('content-type', 'text/plain')
  response.end(`you are at ${url}`)
}

function report(): WorldReport {
  const twice = ([, times]: [string, number]) => times > 1
  return {
    type: 'report',
    ...{ orders, breaks, checks },
    visits: {
      posts: visits.POST.size,
      postsTwice: [...visits.POST].filter(twice).map(([name]) => name),
      gets: visits.GET.size,
      getsTwice: [...visits.GET].filter(twice).length,
    },
  }
}

function tell(socket: Socket, told: FromWorld): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(told)}\n`)
}
