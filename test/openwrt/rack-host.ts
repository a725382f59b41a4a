/** What a test sees and does at the host's end of the wires. */
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { promisify } from 'node:util'

/**
 * What a new TCP connection to a port meets within `limitMs`: the first bytes that it is sent, `silent` when it was accepted and
 * hears nothing, `unanswered` when not even that, or the code of the error, such as `ECONNREFUSED`.
 */
export async function knock(host: string, port: number, limitMs: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let seen = 'unanswered'
  const socket = connect({ host, port })
  socket.on('connect', () => {
    seen = 'silent'
  })
  socket.on('data', (bytes) => resolve(bytes.toString('latin1')))
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  socket.on('end', () => resolve('ended'))
  const timer = setTimeout(() => resolve(seen), limitMs)
  const met = await promise
  clearTimeout(timer)
  socket.destroy()
  return met
}

/** The host's end of a tunnel knows the box no more. Dispose it to bring its peers back. */
export async function removeHostPeers(interfaceName: string): Promise<AsyncDisposable> {
  const { stdout: before } = await wg(['showconf', interfaceName])
  const { stdout: peers } = await wg(['show', interfaceName, 'peers'])
  for (const peer of peers.split('\n')) {
    if (peer !== '') await wg(['set', interfaceName, 'peer', peer, 'remove'])
  }
  return {
    async [Symbol.asyncDispose]() {
      // wg opens its input by name, which takes a real pipe.
      const done = promisify(execFile)('sh', ['-c', 'cat | wg setconf "$0" /dev/stdin', interfaceName])
      done.child.stdin?.end(before)
      await done
    },
  }
}

async function wg(args: readonly string[]): Promise<{ stdout: string }> {
  return await promisify(execFile)('wg', args)
}
