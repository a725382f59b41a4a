import { Command } from 'commander'
import type { CliParts, TestNetworkProgress } from '../parts.ts'
import { ProgressLine } from '../progress-line.ts'
import { untilAborted } from '../until-aborted.ts'
import { parseLatency } from './demo.ts'

export function testnetCommand(parts: CliParts): Command {
  const up = new Command('up')
    .description(
      'run a private Tor network on this machine until Ctrl-C: authorities, relays, exits, onion services, web sites',
    )
    .option('--latency <ms>', 'one-way delay of each hop between relays', parseLatency)
    .addHelpText('after', '\nExample:\n  cbtor testnet up --latency 20')
    .action(async ({ latency }: { latency?: number }) => {
      const progress = new ProgressLine(parts.err)
      const options = {
        ...(latency !== undefined && { latencyMs: latency }),
        onProgress: ({ done, total, text }: TestNetworkProgress) => progress.show(done / total, text),
      }
      await using network = await parts.createTestNetwork(options, parts.signal)
      progress.end()
      for (const loss of network.lost) parts.err.write(`note: ${loss}\n`)
      const description = {
        urls: network.urls,
        ca_file: network.caFile,
        directory: network.directory,
        client_command: network.clientCommand(),
        client_torrc: network.clientTorrc(),
      }
      parts.out.write(`${JSON.stringify(description, null, 2)}\n`)
      await untilAborted(parts.signal)
    })
  return new Command('testnet').addCommand(up).addHelpText('after', '\nExample:\n  cbtor testnet up --latency 20')
}
