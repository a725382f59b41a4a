/**
 * The inside of a box for the health check: process 1 of namespaces of its own, in which a directory is the root and Tor's
 * ports are free. Plays procd: Tor's init script (`init.sh`) hands its verb to port 9999. Commands come as JSON lines.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { BoxSpec, Command, RunResult } from './protocol.ts'
import { RealTor } from './real-tor.ts'
import { SCRIPTED_COOKIE, ScriptedTor } from './scripted-tor.ts'

const POLL_MS = 5
/** As procd's. */
const TERM_TIMEOUT_MS = 5000
const INIT_PORT = 9999

const spec: BoxSpec = JSON.parse(process.argv[2] ?? '')
const statusFile = `${spec.root}/tmp/run/tor/health-status`
let transcript: string[] = []
let wasStopped = false
const scripted = new ScriptedTor(note)
const tor = spec.torrc === undefined ? scripted : new RealTor(spec.torrc)

function note(event: string): void {
  transcript.push(`${/^state=(.*)$/m.exec(status())?.[1] ?? '-'}: ${event}`)
}

function status(): string {
  try {
    return readFileSync(statusFile, 'utf8')
  } catch {
    return ''
  }
}

function mountAll(): void {
  const mount = (...args: string[]): void => void execFileSync('mount', args)
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  mount('-t', 'proc', 'proc', `${spec.root}/proc`)
  mount('-t', 'tmpfs', '-o', `size=${spec.tmpBytes}`, 'tmpfs', `${spec.root}/tmp`)
  for (const path of spec.binds) mount('--rbind', path, spec.root + path)
}

/** The exit code of an init script's verb; as with procd, `restart` returns before it is done. */
async function init(verb: string): Promise<number> {
  if (verb !== 'status' && verb !== 'enabled') note(verb)
  switch (verb) {
    case 'start':
      wasStopped = false
      await tor.start()
      return 0
    case 'stop':
      wasStopped = true
      await end()
      return 0
    case 'restart':
      wasStopped = false
      void end().then(() => tor.start())
      return 0
    case 'status':
      return tor.pid !== undefined ? 0 : wasStopped ? 3 : 5
    case 'enabled':
      return scripted.plan.enabled ? 0 : 1
    default:
      return 0
  }
}

async function end(): Promise<void> {
  const patience = setTimeout(() => void tor.stop('SIGKILL'), TERM_TIMEOUT_MS)
  await tor.stop('SIGTERM')
  clearTimeout(patience)
}

async function perform(command: Command): Promise<unknown> {
  switch (command.type) {
    case 'run':
      return await runScript()
    case 'sh':
      return await inRoot(['/bin/ash', '-c', command.script])
    case 'plan':
      return scripted.follow(command.plan)
    case 'torPid':
      return tor.pid ?? null
    case 'tor':
      if (command.verb === 'freeze') return process.kill(tor.pid ?? 0, 'SIGSTOP')
      if (command.verb === 'crash') return await tor.stop('SIGKILL')
      wasStopped = command.verb === 'stop'
      return command.verb === 'stop' ? await end() : await tor.start()
    case 'grown': {
      while (age() < command.seconds) await new Promise((resolve) => setTimeout(resolve, 20))
      return null
    }
  }
}

/** How many seconds ago Tor's process was started, as the script sees it. */
function age(): number {
  const started = Number(readFileSync(`${spec.root}/proc/${tor.pid}/stat`, 'utf8').split(' ')[21]) / 100
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) - started
}

async function runScript(): Promise<RunResult> {
  transcript = []
  const statuses: string[] = []
  const look = setInterval(() => {
    const text = status()
    if (text !== '' && text !== statuses.at(-1)) statuses.push(text)
  }, POLL_MS)
  const { code } = await inRoot(['/usr/local/bin/tor-health-check.sh'])
  clearInterval(look)
  note('end')
  return { code, transcript, statuses }
}

/** With the environment that cron gives. */
function inRoot(command: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const env = { HOME: '/root', SHELL: '/bin/sh', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
    const child = spawn('chroot', [spec.root, ...command], { stdio: ['ignore', 'pipe', 'pipe'], env })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

mountAll()
for (const directory of ['run', 'log', 'lock', 'lib/tor'])
  mkdirSync(`${spec.root}/tmp/${directory}`, { recursive: true })
if (tor === scripted) writeFileSync(`${spec.root}/tmp/lib/tor/control_auth_cookie`, SCRIPTED_COOKIE)

const procd = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {})
  socket.setEncoding('utf8').once('data', async (verb: string) => socket.end(`${await init(verb.trim())}\n`))
})
await new Promise<void>((resolve) => procd.listen(INIT_PORT, '127.0.0.1', resolve))
await tor.start()

createInterface(process.stdin)
  .on('line', async (line) => {
    const { id, command } = JSON.parse(line)
    try {
      process.stdout.write(`${JSON.stringify({ id, result: (await perform(command)) ?? null })}\n`)
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ id, error: String(error) })}\n`)
    }
  })
  // Process 1: all others end with it.
  .on('close', () => process.exit())
process.stdout.write(`${JSON.stringify({ id: 0, result: null })}\n`)
