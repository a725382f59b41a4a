import { Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../../config/duration.ts'
import { MODES } from '../../domain/exchange.ts'
import { ISOLATIONS } from '../../domain/identity.ts'
import type { FetchFlags } from '../fetch-order.ts'
import { withService } from '../flags.ts'
import type { CommandParts } from '../parts.ts'

const HELP = `
Nothing is fetched but through Tor. Redirects are followed, 10 at most, unless --no-location or --max-redirs says otherwise.
Without --raw the whole answer is waited for, decompressed, and at most 10 MiB; with it the body comes as it is on the wire, of any size.
What is shown on a terminal has its control characters made visible, and binary data is refused; -o FILE saves it as it is.

Exit code 0: the target answered, whatever its status; 22: it answered 400 or more, with --fail; 5: not fetched, but the same
may be later; 1: not fetched, and a retry is of no use; 4: no service answers.

Examples:
  cbtor fetch https://check.torproject.org/api/ip
  cbtor fetch http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/ --receipt
  cbtor fetch https://example.com/form -d name=value -H 'accept-language: de' --sticky-key shop7
  cbtor fetch https://example.com/film.webm --raw -o film.webm
  cbtor fetch https://example.com/ --country de --json | jq .receipt.exit`

export function fetchCommand(parts: CommandParts): Command {
  const command = new Command('fetch')
    .argument('<url>', 'http or https, clearnet or .onion')
    .option('-X, --request <method>', 'GET, with --data POST')
    .option(
      '-H, --header <line>',
      "'Name: value'; 'Name:' leaves out one that would be sent. As often as you like",
      append,
    )
    .option('-d, --data <data>', 'what to send: text, @FILE, or @- for standard input')
    .option('-I, --head', 'ask for the head alone')
    .option('-o, --output <file>', 'where the body goes; - for standard output')
    .option('-i, --include', 'show the status and the headers before the body')
    .option('-f, --fail', 'when the target answers 400 or more, show nothing and end with exit code 22')
    .option('-L, --location', 'follow redirects, as is done anyway')
    .option('--no-location', 'follow no redirect')
    .option('--max-redirs <count>', 'how many redirects to follow, up to 10', wholeNumber)
    .option('-m, --timeout <duration>', 'how long it may take, such as 30s; 60s', toDuration)
    .option('--max-bytes <count>', 'the largest body to take, in bytes', wholeNumber)
    .option('--sticky-key <key>', 'a name for an identity that lasts: its worker, circuit and exit are kept')
    .addOption(new Option('--isolation <kind>', 'what shares circuits with it').choices(ISOLATIONS))
    .addOption(new Option('--mode <mode>', 'how to choose a worker').choices(MODES))
    .option('--worker <id>', 'by this worker alone, its id or number')
    .option('--country <code>', 'leave Tor in this country, such as de')
    .option('--exclude-countries <codes>', 'leave Tor in none of these, such as us,gb', (text) => text.split(','))
    .option('--distinct-from <key>', 'leave Tor by another exit than the session of this sticky key')
    .option('--hedge', 'ask a second worker, too, when the first takes long')
    .option('--raw', 'the bytes as they come, of any size')
    .option('--receipt', 'tell on standard error how it came about: worker, exit, attempts, times')
    .option('-s, --silent', 'no progress on a terminal')
    .option('--json', 'the whole answer as JSON, or the problem; not with --raw')
  return withService(command)
    .addHelpText('after', HELP)
    .action(async (url: string, flags: FetchFlags) => (await parts.fetchWork())(url, flags, parts))
}

function append(line: string, before: readonly string[] = []): readonly string[] {
  return [...before, line]
}

function wholeNumber(text: string): number {
  if (/^\d{1,16}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected a whole number.')
}

function toDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms > 0) return ms
  throw new InvalidArgumentError('Expected a duration with its unit, such as 30s or 2m.')
}
