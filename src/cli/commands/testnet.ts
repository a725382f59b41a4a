import { Command } from 'commander'
import type { CliParts } from '../parts.ts'
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
      await using network = await parts.createTestNetwork(
        {
          ...(latency !== undefined && { latencyMs: latency }),
          onProgress: ({ done, total, text }) => progress.show(done / total, text),
        },
        parts.signal,
      )
      progress.end()
      for (const loss of network.lost) parts.err.write(`note: ${loss}\n`)
      const { clientCommand, clientTorrc, urls, caFile, directory } = network
      parts.out.write(
        `${JSON.stringify({ urls, ca_file: caFile, directory, client_command: clientCommand.call(network), client_torrc: clientTorrc.call(network) }, null, 2)}\n`,
      )
      await untilAborted(parts.signal)
    })
  return new Command('testnet').description('a private Tor network in a box').addCommand(up)
}
