import { Command } from 'commander'
import { adminKeyFile } from '../../auth/admin-key.ts'
import { parseDuration } from '../../config/duration.ts'
import { readConfig } from '../../config/read-config.ts'
import { usageError } from '../exit-with.ts'
import type { CliParts, RunningService, StoreWait } from '../parts.ts'
import { untilAborted } from '../until-aborted.ts'

/** Fields of the configuration by their names, and what is no field. */
type UpFlags = Readonly<Record<string, string>> & { readonly waitForStore?: string | true }

export function upCommand(parts: CliParts): Command {
  return new Command('up')
    .option('--config <file>', 'configuration file (YAML)')
    .option('--listen <host:port>', 'address of the API')
    .option('--state <directory>', "where the store and the workers' directories are")
    .option('--mode <mode>', 'balancing mode')
    .option('--log <level>', 'error, warn, info, debug or silent')
    .option('--wait-for-store [duration]', 'wait until the shared store can be reached, or so long at most')
    .addHelpText('after', '\nExample:\n  cbtor up --config /etc/cbtor.yaml --listen 127.0.0.1:32211')
    .action(async ({ waitForStore, ...flags }: UpFlags) => {
      const storeWait = waitForStore === undefined ? undefined : waitOf(waitForStore, parts)
      const reread = () => readConfig(flags, parts.env)
      const config = reread()
      let running: RunningService | undefined
      const again = oneMore(async () => running && (await reload(running, parts)))
      // Before it runs there is nothing to be told: what it is started with has just been read.
      using _ = parts.onHangup?.(() => void again())
      await using service = await parts.createService(config, parts.signal, reread, storeWait)
      running = service
      if (service.adminKey !== undefined) {
        const file = adminKeyFile(config.state)
        // Elsewhere than on a terminal, what is written is kept: by a journal, by a container's log.
        const shown = parts.err.isTTY ? `, shown this once: ${service.adminKey}` : ''
        parts.err.write(`cbtor: the admin key is in ${file}${shown}\n`)
      }
      parts.err.write(`cbtor: the API answers at ${service.url} (documents: ${service.url}/docs)\n`)
      const { http, socks } = service.proxy
      const proxies = [http, socks].filter((url) => url !== undefined)
      if (proxies.length > 0) parts.err.write(`cbtor: the proxy answers at ${proxies.join(' and ')}\n`)
      await parts.manager?.ready(`The API answers at ${service.url}`)
      await untilAborted(parts.signal)
      void parts.manager?.stopping(config.shutdown_timeout)
      parts.err.write('cbtor: stopping; once more to stop at once\n')
    })
}

function waitOf(text: string | true, { err }: CliParts): StoreWait {
  const ms = text === true ? Number.POSITIVE_INFINITY : parseDuration(text)
  if (ms === undefined)
    throw usageError(
      `--wait-for-store: expected a duration with its unit, such as 30s or 5m, or nothing, not "${text}"`,
    )
  return { ms, onWait: (reason) => err.write(`cbtor: waiting for the shared store: ${reason}\n`) }
}

/** Calls `run`, and once more when it is wanted while it runs, however often. `run` must not reject. */
function oneMore(run: () => Promise<unknown>): () => Promise<void> {
  let isRunning = false
  let isWanted = false
  return async () => {
    isWanted = true
    if (isRunning) return
    isRunning = true
    while (isWanted) {
      isWanted = false
      await run()
    }
    isRunning = false
  }
}

/** A configuration that cannot be applied is told of; the service goes on as it was. */
async function reload(service: RunningService, { err, manager, signal }: CliParts): Promise<void> {
  void manager?.reloading()
  try {
    await service.reload()
  } catch (error) {
    err.write(`cbtor: the configuration is not applied: ${error instanceof Error ? error.message : error}\n`)
  }
  if (!signal.aborted) await manager?.ready(`The API answers at ${service.url}`)
}
