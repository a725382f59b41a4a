/** The system's resolver of everybody in this mount namespace: it remembers each question, and has an answer to all of them. */
import { execFileSync } from 'node:child_process'
import { realpathSync, writeFileSync } from 'node:fs'
import { DnsServer } from '../../src/testnet/inside/dns-server.ts'

const ADDRESS = '127.0.0.53'
/** A site of the private network, so that whoever resolved a name would go on to where it leads. */
const EVERYTHING_IS_AT = '198.51.100.120'

export interface SystemResolver extends AsyncDisposable {
  /** Names, in lower case, oldest first. */
  readonly names: readonly string[]
  forget(): void
}

/** Takes a mount namespace of one's own, as `script/leak-test` makes it. */
export async function openSystemResolver(file: string): Promise<SystemResolver> {
  const server = await DnsServer.listen(ADDRESS, 53, () => EVERYTHING_IS_AT)
  writeFileSync(file, `nameserver ${ADDRESS}\noptions timeout:1 attempts:1\n`)
  const resolvConf = realpathSync('/etc/resolv.conf')
  execFileSync('mount', ['--bind', file, resolvConf])
  return {
    get names() {
      return server.queries.map(({ name }) => name)
    },
    forget() {
      server.queries.length = 0
    },
    async [Symbol.asyncDispose]() {
      execFileSync('umount', [resolvConf])
      await server[Symbol.asyncDispose]()
    },
  }
}
