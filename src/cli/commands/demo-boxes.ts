import { accessSync, constants } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { Option } from 'commander'
import { createApiClient } from '../../client/client.ts'
import { parseConfig } from '../../config/read-config.ts'
import { tunnelNames } from '../../tunnel/spec.ts'
import { tellEvents } from '../demo-events.ts'
import { checkThemselves, idOf, installBoxes, refuseState } from '../demo-install.ts'
import { drawBoxes } from '../demo-picture.ts'
import {
  type DemoFlags,
  invitation,
  showSamples,
  stageConfig,
  stageKey,
  startService,
  writeDescriptor,
} from '../demo-stage.ts'
import { ExitWith } from '../exit-with.ts'
import type { CliParts, DemoParts, RunningBox, RunningBoxNetwork } from '../parts.ts'
import { ProgressLine } from '../progress-line.ts'
import { untilAborted } from '../until-aborted.ts'

/** Said by this program to itself. */
export const IN_HOST = new Option('--in-host').hideHelp()

/** Runs the demo in a network namespace of its own, and listens for it in this one. */
export async function startDemoBoxes(flags: DemoFlags, parts: DemoParts): Promise<void> {
  const { boxes, env, signal } = parts
  const whyNot = await boxes.whyNot(signal)
  if (whyNot !== undefined) throw new Error(`Cannot show boxes: ${whyNot}`)
  if (flags.state !== undefined) await refuseState(resolve(flags.state), parts)
  const { listen } = parseConfig({ listen: flags.listen }, env)
  if ('path' in listen) throw new Error('Cannot show boxes: expected --listen HOST:PORT of loopback, not a unix socket')
  const argv = (address: string) => [
    ...['demo', '--openwrt', '--in-host', '--listen', address],
    ...(flags.state === undefined ? [] : ['--state', flags.state]),
    ...(flags.latency === undefined ? [] : ['--latency', String(flags.latency)]),
    ...(flags.once ? ['--once'] : []),
  ]
  const exitCode = await boxes.runInHost(listen, argv, signal)
  if (exitCode !== 0) throw new ExitWith(exitCode)
}

/** The demo, in a network namespace that becomes the gateway machine. */
export async function demoBoxes(flags: DemoFlags, parts: DemoParts): Promise<void> {
  const { clock, out, err, signal } = parts
  using host = await parts.boxes.enter(signal)
  const startedAt = clock.monotonic()
  const progress = new ProgressLine(err)
  await using rack = await parts.boxes.createNetwork(
    {
      ...(flags.latency !== undefined && { latencyMs: flags.latency }),
      onProgress: ({ done, total, text }) => progress.show((done / total) * 0.6, text),
    },
    signal,
  )
  const { network, boxes } = rack
  const state = resolve(flags.state ?? join(network.directory, 'demo'))
  await using _installed = await installBoxes(rack, state, parts, (text) => progress.show(0.7, text))
  progress.show(0.8, 'workers: connecting')
  const config = stageConfig(network, {
    listen: flags.listen,
    state,
    // In a namespace of its own nobody could reach them.
    proxy: { http: 'off', socks: 'off' },
    workers: boxes.map(({ n }) => ({ kind: 'openwrt', id: idOf(n) })),
  })
  await using service = await startService(config, parts)
  if ('port' in config.listen) host.open(config.listen.host, config.listen.port)
  progress.show(0.9, 'boxes: checking themselves')
  await checkThemselves(boxes)
  progress.end()
  const seconds = ((clock.monotonic() - startedAt) / 1_000).toFixed(1)
  out.write(`\nA private Tor network and ${boxes.length} boxes are up after ${seconds} s. Fetching through them:\n\n`)

  await showSamples(network, service, state, parts)
  const api = createApiClient({ baseUrl: service.url, key: stageKey(state) })
  out.write(`${await drawBoxes(api, boxes, signal)}\n\n`)
  const described = boxes.map((box) => describe(box, host.pid, rack, parts.env))
  using descriptor = writeDescriptor(network, service, state, { boxes: described })
  const into = described[0]?.shell
  out.write(
    invitation(network, service, state, descriptor.path, [
      `  curl -s ${service.url}/api/v1/tor/workers/1 -H "authorization: Bearer $KEY"`,
      `  curl -s -X POST ${service.url}/api/v1/tor/workers/1/reboot -H "authorization: Bearer $KEY"`,
      `  npm run -s cbtor -- tunnel status --state ${state}`,
      ...(into ? ['', 'Into the first box, for example to break it:', `  ${into.join(' ')}`] : []),
    ]),
  )
  if (flags.once) return
  out.write('\nCtrl-C ends it and cleans up. What happens to the workers:\n\n')
  await tellEvents({ api, boxes, out, clock }, signal)
  await untilAborted(signal)
}

function describe(box: RunningBox, pid: number, rack: RunningBoxNetwork, env: CliParts['env']) {
  const { n, name, address } = box
  const { interfaceName, hostAddress, boxAddress } = tunnelNames(n)
  return {
    worker: idOf(n),
    name,
    address,
    interface: interfaceName,
    host_address: hostAddress,
    box_address: boxAddress,
    shell: hasProgram('ssh', env) ? shellOf(box, pid, rack) : null,
  }
}

/** The command that gets into the box from where the user is. */
function shellOf({ address }: RunningBox, pid: number, { network, clientKeyFile }: RunningBoxNetwork): string[] {
  const knownHosts = join(network.directory, 'known_hosts') // they are other boxes each time
  const options = ['StrictHostKeyChecking=accept-new', `UserKnownHostsFile=${knownHosts}`, 'LogLevel=ERROR']
  const trust = options.flatMap((option) => ['-o', option])
  return ['nsenter', `--net=/proc/${pid}/ns/net`, 'ssh', '-i', clientKeyFile, ...trust, `root@${address}`]
}

function hasProgram(name: string, { PATH = '' }: CliParts['env']): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}
