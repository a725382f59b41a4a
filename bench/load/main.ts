/** The load generator: a process of its own, in the network's namespace. Orders come by standard input, a line of JSON each. */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import type { Order, Reply } from './order.ts'
import { closeIdle, openIdle, runLoad } from './run-load.ts'

createInterface(process.stdin).on('line', (line) => {
  const order = JSON.parse(line) as Order
  carryOut(order).then(
    (result) => reply({ id: order.id, result }),
    (error: unknown) => reply({ id: order.id, error: String(error) }),
  )
})
process.stdin.on('end', () => process.exit())

async function carryOut(order: Order) {
  if ('load' in order) return await runLoad(order.load)
  if ('open' in order) return { open: await openIdle(order.open.tunnels, order.open.port, order.open.to) }
  if ('wait' in order) await listening(order.wait.port, order.wait.limitMs)
  else closeIdle()
  return null
}

async function listening(port: number, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs
  while (!(await accepts(port))) {
    if (performance.now() > until) throw new Error(`nothing listens on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function reply(told: Reply): void {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}
