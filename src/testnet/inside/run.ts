import { spawn } from 'node:child_process'

/** Runs a program to its end and returns what it printed. Rejects with its standard error when it fails or `signal` aborts. */
export async function run(command: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  const [program = '', ...args] = command
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  child.on('error', (error) => reject(new Error(`Cannot run ${program}: ${error.message}`, { cause: error })))
  child.on('close', (code, signalName) => {
    if (code === 0) resolve(output)
    else reject(new Error(`${program} failed (${signalName ?? `exit code ${code}`}): ${errors.trim()}`))
  })
  // A program that ends without reading its input is judged by its exit code.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return await promise
}
