import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Instruments } from './instruments.ts'

/** A wake-up each so often is what the watch over the event loop costs. */
const LOOK_EVERY_MS = 20

/** Registers what the process itself uses. Disposing it ends the watch over the event loop. */
export function registerProcessMetrics(make: Instruments, version: string): Disposable {
  const delay = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS })
  delay.enable()
  make.gauge('build_info', '1, with the versions of the service and of Node.', ['version', 'node'], (gauge) =>
    gauge.set({ version, node: process.version }, 1),
  )
  make.counter('process_cpu_seconds_total', 'Time of the processor, of all threads.', [], (counter) => {
    const { user, system } = process.cpuUsage()
    make.follow(counter, {}, (user + system) / 1e6)
  })
  make.gauge('process_resident_memory_bytes', 'Memory that the process holds.', [], (gauge) =>
    gauge.set(process.memoryUsage.rss()),
  )
  make.gauge(
    'process_heap_used_bytes',
    'Objects of JavaScript, those that nobody needs any more included.',
    [],
    (gauge) => gauge.set(process.memoryUsage().heapUsed),
  )
  make.gauge('process_open_fds', 'Files and sockets that are open.', [], (gauge) => {
    const open = openFiles()
    if (open !== undefined) gauge.set(open)
  })
  make.gauge(
    'event_loop_lag_seconds',
    'How late the event loop was since the last scrape: the mean, the 99th percentile, the worst.',
    ['of'],
    (gauge) => {
      // Each wait is told whole, with what it was to be. Before the first one there is nothing to tell.
      const lateS = (ns: number) => (Number.isFinite(ns) ? Math.max(0, ns / 1e6 - LOOK_EVERY_MS) / 1_000 : 0)
      gauge.set({ of: 'mean' }, lateS(delay.mean))
      gauge.set({ of: 'p99' }, lateS(delay.percentile(99)))
      gauge.set({ of: 'max' }, lateS(delay.max > 1e15 ? 0 : delay.max))
      delay.reset()
    },
  )
  return { [Symbol.dispose]: () => void delay.disable() }
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}
