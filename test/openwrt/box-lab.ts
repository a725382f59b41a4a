/** A private Tor network, a rack of boxes that were installed as workers, and whoever makes their tunnels. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installBox } from '../../src/boxes/install/install-box.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { BoxRack, type BoxRackOptions } from '../../src/testnet/boxes/rack.ts'
import { TorNetwork } from '../../src/testnet/network.ts'

const never = new AbortController().signal

export interface BoxLab extends AsyncDisposable {
  readonly network: TorNetwork
  readonly rack: BoxRack
  /** The state directory, with the box files of `tor01` and so on. */
  readonly state: string
}

export async function createBoxLab(options: Pick<BoxRackOptions, 'boxes' | 'bare' | 'bootDelayMs'>): Promise<BoxLab> {
  await using parts = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-boxes-'))
  parts.defer(() => rmSync(directory, { recursive: true, force: true }))
  const network = parts.use(await TorNetwork.create())
  const rack = parts.use(await BoxRack.create(network, { bootDelayMs: 500, ...options, directory }))
  const state = join(directory, 'state')
  await Promise.all(
    rack.boxes.map(({ n, address, hostKey }) =>
      installBox(
        {
          destination: { host: address, port: 22, user: 'root' },
          stateDirectory: state,
          keyFile: rack.clientKeyFile,
          hostKey,
          id: `tor0${n}`,
          tunnel: n,
          clock: systemClock,
        },
        never,
      ),
    ),
  )
  // The onion services of the private network instead of the real ones, or the boxes would restart their Tors each minute.
  const sites = `${new URL(network.urls.onion).hostname}\n`
  await Promise.all(rack.boxes.map((box) => box.read('cat >/etc/tor/onion-test-sites.txt', sites)))
  const owned = parts.move()
  return { network, rack, state, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
