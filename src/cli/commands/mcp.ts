import { Readable, Writable } from 'node:stream'
import { Command } from 'commander'
import { faultFields } from '../../lib/fault-fields.ts'
import { systemRandom } from '../../lib/random.ts'
import { serveMcpOnStdio } from '../../mcp/stdio.ts'
import { type ServiceFlags, withService } from '../flags.ts'
import type { ServiceParts, TextOutput } from '../parts.ts'
import { versionOf } from '../version.ts'

const HELP = `
Tools: fetch, new_identity, pool_status, onion_check. The service must run; its key is taken from CBTOR_KEY, else from admin.key in
the state directory. Better than the admin key is one for the model alone:

  cbtor keys create my-assistant --scope fetch sessions workers:read

and in the configuration of the MCP host:

  {"mcpServers": {"cbtor": {"command": "cbtor", "args": ["mcp"], "env": {"CBTOR_KEY": "cbt_..."}}}}

Hosts that speak HTTP need no command: the service itself answers at /mcp, with the key as the bearer token.

Example:
  CBTOR_KEY=$(cat ~/assistant.key) cbtor mcp`

const WHERE_KEYS_ARE =
  'The key is that in CBTOR_KEY, which the configuration of the MCP host sets, else admin.key in the state directory of the service.'

/** MCP for a host that starts programs: what it asks for goes to the running service. */
export function mcpCommand(parts: ServiceParts): Command {
  return withService(new Command('mcp'))
    .addHelpText('after', HELP)
    .action(async (flags: ServiceFlags) => {
      const { out, err, clock, signal, stdin = Readable.from([]) } = parts
      const gateway = await parts.connect(flags)
      const onBug = (error: unknown) =>
        err.write(`cbtor: an error of this program: ${JSON.stringify(faultFields(error))}\n`)
      const server = { gateway, version: versionOf(), clock, random: systemRandom, keyHint: WHERE_KEYS_ARE, onBug }
      await serveMcpOnStdio(server, { stdin, stdout: writableOf(out) }, signal)
    })
}

function writableOf(out: TextOutput): Writable {
  if (out instanceof Writable) return out
  return new Writable({
    write(bytes, _encoding, done) {
      out.write(bytes)
      done()
    },
  })
}
