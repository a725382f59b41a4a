import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { InitTor } from './scripted-tor.ts'

/** A tor as it is. */
export class RealTor implements InitTor {
  readonly #torrc: string
  #process: ChildProcess | undefined

  constructor(torrc: string) {
    this.#torrc = torrc
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  async start(): Promise<void> {
    if (this.#process) return
    const child = spawn('tor', ['-f', this.#torrc], { stdio: 'ignore' })
    await once(child, 'spawn')
    this.#process = child
    child.on('exit', () => {
      if (this.#process === child) this.#process = undefined
    })
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
}
