/** Commands that turn boxes into workers. What they do is in `box-work.ts`, which brings SSH and much else. */
import { Command, InvalidArgumentError } from 'commander'
import { isEndpoint, WORKER_ID } from '../../boxes/box-file.ts'
import { type JsonFlags, type StateFlags, withState } from '../flags.ts'
import type { CliParts } from '../parts.ts'

export interface WorkerParts extends CliParts {
  /** What is put on boxes, when it is not that of this program. */
  readonly payloadDirectory?: string
}

export interface AccessFlags extends StateFlags, JsonFlags {
  readonly port?: number
  readonly user?: string
  readonly key?: string
  readonly acceptHostKey?: string
}

export interface InstallFlags extends AccessFlags {
  readonly id?: string
  readonly tunnel?: number
  readonly hostEndpoint?: string
  readonly dryRun?: true
  /** Only a box that is a worker already. */
  readonly isUpgrade?: true
}

export interface UninstallFlags extends AccessFlags {
  readonly dryRun?: true
}

export interface BoxWork {
  install(host: string, flags: InstallFlags, parts: WorkerParts): Promise<void>
  check(host: string, flags: AccessFlags, parts: WorkerParts): Promise<void>
  uninstall(host: string, flags: UninstallFlags, parts: WorkerParts): Promise<void>
}

export interface BoxParts extends WorkerParts {
  /** Loads it. */
  boxWork(): Promise<BoxWork>
}

const HOST_HELP = 'the box: root@192.0.2.11:22, 192.0.2.11, box.lan, or the id of a worker that is installed'
const BAD_USAGE = 'A box is given as root@192.0.2.11:22, box.lan or the like, and never begins with "-"; see --help.'

export function boxCommands(parts: BoxParts): readonly Command[] {
  return [
    installing('install', 'put Tor, the tunnel and the health check on a box')
      .addHelpText('after', '\nExample:\n  cbtor workers install root@192.0.2.11 --dry-run')
      .action(async (host: string, flags: InstallFlags) => (await parts.boxWork()).install(host, flags, parts)),
    forBox('check', 'tell what is right and wrong on a box; exit code 1 when something is wrong')
      .addHelpText('after', '\nExample:\n  cbtor workers check tor01')
      .action(async (host: string, flags: AccessFlags) => (await parts.boxWork()).check(host, flags, parts)),
    installing('upgrade', 'put what this version of CBTOR has on a worker')
      .addHelpText('after', '\nExample:\n  cbtor workers upgrade tor01')
      .action(async (host: string, flags: InstallFlags) =>
        (await parts.boxWork()).install(host, { ...flags, isUpgrade: true }, parts),
      ),
    forBox('uninstall', 'leave the box as it was before CBTOR came')
      .option('--dry-run', 'show every change and make none')
      .addHelpText('after', '\nExample:\n  cbtor workers uninstall tor01 --dry-run')
      .action(async (host: string, flags: UninstallFlags) => (await parts.boxWork()).uninstall(host, flags, parts)),
  ]
}

function installing(name: string, description: string): Command {
  return forBox(name, description)
    .option('--id <id>', "the worker's id; tor01 for tunnel 1, and so on", parseId)
    .option('--tunnel <number>', 'number of its tunnel, 1 to 254; the lowest free one', parseTunnel)
    .option('--host-endpoint <address:port>', 'where the box reaches this machine; as SSH sees it', parseEndpoint)
    .option('--dry-run', 'show every change and make none')
}

function forBox(name: string, description: string): Command {
  return withState(new Command(name))
    .description(description)
    .argument('<host>', HOST_HELP)
    .option('--port <port>', 'of SSH; 22', parsePort)
    .option('--user <name>', 'of SSH; root')
    .option('--key <file>', 'private key for SSH; made in the state directory when left out')
    .option('--accept-host-key <fingerprint>', 'SHA256:… that you have compared with what the box says')
    .option('--json', 'as JSON')
    .showHelpAfterError(BAD_USAGE)
}

function parseId(text: string): string {
  if (WORKER_ID.test(text)) return text
  throw new InvalidArgumentError('Expected a letter, then up to 31 letters, digits or hyphens, such as tor01.')
}

function parseTunnel(text: string): number {
  const number = Number(text)
  if (/^\d{1,3}$/.test(text) && number >= 1 && number <= 254) return number
  throw new InvalidArgumentError('Expected a whole number from 1 to 254.')
}

function parsePort(text: string): number {
  const number = Number(text)
  if (/^\d{1,5}$/.test(text) && number >= 1 && number <= 65_535) return number
  throw new InvalidArgumentError('Expected a whole number from 1 to 65535.')
}

function parseEndpoint(text: string): string {
  if (isEndpoint(text)) return text
  throw new InvalidArgumentError(
    'Expected ADDRESS:PORT, such as 192.0.2.2:51821, [2001:db8::2]:51821 or home.example:51821.',
  )
}
