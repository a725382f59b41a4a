import { connect } from 'node:net'
import type { Clock } from '../../lib/clock.ts'
import { boxAddress, boxName } from './plan.ts'
import type { BlockStyle, ExecResult, PowerNews } from './protocol.ts'
import type { RackProcess } from './rack-process.ts'

const EXEC_WITHIN_MS = 60_000
/** Boot delay and start scripts, on a busy machine. */
const UP_WITHIN_MS = 60_000
/** procd starts a process again after 5 s, and at its sixth end no more. */
const PROCD_EXITS = 6
/** procd's own waiting times, and a busy machine. */
const SETTLED_WITHIN_MS = 20_000
const POLL_MS = 100
const GREETING_WITHIN_MS = 2_000

/** By the command line: the init script has the same name while it runs. */
const TOR_PIDS = "pgrep -f '^/usr/sbin/tor '"

/** Of dropbear's processes the one that listens: the others, one a connection, are its children. */
const DROPBEAR_LISTENER = `
listener() {
	for p in $(pidof dropbear); do
		parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status")
		case "$(cat "/proc/$parent/comm")" in dropbear) ;; *) echo "$p" ;; esac
	done
}
`

/** One box of a rack, with everything that can happen to it. Each fault has its undo, and both may be repeated. */
export class TestBox {
  /** From 1. */
  readonly n: number
  readonly name: string
  readonly address: string
  /** `SHA256:…`, of the only host key that it has from the start. */
  readonly hostKey: string
  readonly #inside: RackProcess
  readonly #clock: Clock
  #isOn = true
  #boots = 1
  /** Of wg0, as it was before its peers were removed. */
  #wireguard: string | undefined

  constructor(inside: RackProcess, clock: Clock, n: number, hostKey: string) {
    this.n = n
    this.name = boxName(n)
    this.address = boxAddress(n)
    this.hostKey = hostKey
    this.#inside = inside
    this.#clock = clock
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** How often it was booted. */
  get boots(): number {
    return this.#boots
  }

  /** For the rack. */
  onPower({ isOn, boots }: PowerNews): void {
    this.#isOn = isOn
    this.#boots = boots
  }

  /**
   * Runs a script by the box's shell, as root, without SSH. Resolves when it has ended and nothing holds its output any
   * longer. Rejects when the box is off or the script takes longer than a minute, or than `limitMs`.
   */
  async exec(script: string, stdin = '', limitMs = EXEC_WITHIN_MS): Promise<ExecResult> {
    try {
      return await this.#inside.call('exec', { n: this.n, script, stdin, limitMs })
    } catch (error) {
      throw new Error(`Cannot run "${script.trim()}" on ${this.name}: ${(error as Error).message}`, { cause: error })
    }
  }

  /** What the script prints. Rejects with its standard error when it fails. */
  async read(script: string, stdin = ''): Promise<string> {
    const { code, stdout, stderr } = await this.exec(script, stdin)
    if (code !== 0) throw new Error(`"${script.trim()}" failed on ${this.name} (${code}): ${stderr.trim() || stdout}`)
    return stdout
  }

  /** Another one after each boot. */
  async bootId(): Promise<string> {
    return (await this.read('cat /proc/sys/kernel/random/boot_id')).trim()
  }

  /** Inside the box. Undefined while tor is not running. */
  async torPid(): Promise<number | undefined> {
    const { stdout } = await this.exec(TOR_PIDS)
    const [pid = ''] = stdout.trim().split('\n')
    return pid === '' ? undefined : Number(pid)
  }

  /** What its kernel and init have said since the last boot. */
  async console(): Promise<readonly string[]> {
    return await this.#inside.call('console', { n: this.n })
  }

  /** Every file of the flash (not `/tmp`, `/proc`, …) with mode, owner and content or target: two can be compared. */
  async snapshot(): Promise<Map<string, string>> {
    return new Map(await this.#inside.call('snapshot', { n: this.n }))
  }

  /** Pulls the plug: nothing is shut down. What is on the flash stays. */
  async powerOff(): Promise<void> {
    await this.#inside.call('powerOff', { n: this.n })
  }

  /** Resolves when the box boots; see `waitUp()`. */
  async powerOn(): Promise<void> {
    await this.#inside.call('powerOn', { n: this.n })
  }

  /** Resolves when all start scripts have run, of a boot other than `after`, if told. Gives the boot id. */
  async waitUp({ after, limitMs = UP_WITHIN_MS }: { after?: string; limitMs?: number } = {}): Promise<string> {
    return (await this.#inside.call('waitUp', { n: this.n, limitMs, after: after ?? null })).bootId
  }

  /** Resolves when its SSH server answers us, over the wire. A box that has just booted may still be reloading its firewall. */
  async waitSsh(): Promise<void> {
    await this.#until('SSH answers', async () => (await greeting(this.address, 22)).startsWith('SSH-'))
  }

  /** Tells the box to reboot, as its operator would. Resolves with the new boot id when it is up again. */
  async reboot(): Promise<string> {
    const before = await this.bootId()
    await this.exec('reboot')
    return await this.waitUp({ after: before })
  }

  /** Ends tor by force; procd starts it again after 5 s. */
  async killTor(): Promise<void> {
    await this.read(`kill -9 $(${TOR_PIDS})`)
  }

  /** Ends tor by force as often as procd starts it, until procd gives it up: half a minute. `startTor()` is its undo. */
  async killTorSixTimes(): Promise<void> {
    let last: number | undefined
    for (let exits = 0; exits < PROCD_EXITS; exits++) {
      await this.#until(`tor was started ${exits} times after its end`, async () => {
        const pid = await this.torPid()
        const isNew = pid !== undefined && pid !== last
        if (isNew) last = pid
        return isNew
      })
      await this.killTor()
    }
  }

  /** tor keeps its connections and answers nothing. */
  async freezeTor(): Promise<void> {
    await this.read(`kill -STOP $(${TOR_PIDS})`)
  }

  async thawTor(): Promise<void> {
    await this.read(`kill -CONT $(${TOR_PIDS})`)
  }

  /** Resolves when tor is gone. */
  async stopTor(): Promise<void> {
    await this.read('/etc/init.d/tor stop')
    await this.#until('tor has ended', async () => (await this.torPid()) === undefined)
  }

  /** Ends the tor that there is, in whatever state, and resolves when there is a new one. */
  async startTor(): Promise<void> {
    const before = await this.torPid()
    await this.read('/etc/init.d/tor restart')
    await this.#until('tor is started', async () => ![before, undefined].includes(await this.torPid()))
  }

  /** The relays answer nothing any more, or refuse every packet. The rest of the internet is there. */
  async blockRelays(style: BlockStyle): Promise<void> {
    await this.#inside.call('blockRelays', { n: this.n, style })
  }

  async unblockRelays(): Promise<void> {
    await this.#inside.call('blockRelays', { n: this.n, style: null })
  }

  /** The packages' server refuses this box. */
  async blockFeed(): Promise<void> {
    await this.#inside.call('blockFeed', { n: this.n, isBlocked: true })
  }

  async unblockFeed(): Promise<void> {
    await this.#inside.call('blockFeed', { n: this.n, isBlocked: false })
  }

  /** New SSH connections are refused; those that are there live on. */
  async stopDropbear(): Promise<void> {
    await this.read('/etc/init.d/dropbear stop')
  }

  async startDropbear(): Promise<void> {
    await this.read('/etc/init.d/dropbear start')
  }

  /** New SSH connections are accepted by the kernel and hear nothing. */
  async freezeDropbear(): Promise<void> {
    await this.read(`${DROPBEAR_LISTENER} kill -STOP $(listener)`)
  }

  async thawDropbear(): Promise<void> {
    await this.read(`${DROPBEAR_LISTENER} kill -CONT $(listener)`)
  }

  /** Pulls the cable. */
  async linkDown(): Promise<void> {
    await this.#inside.call('plug', { n: this.n, isPlugged: false })
  }

  async linkUp(): Promise<void> {
    await this.#inside.call('plug', { n: this.n, isPlugged: true })
  }

  /** The router loses everything from and to the box without a word, or no more. */
  async blackhole(isDark: boolean): Promise<void> {
    await this.#inside.call('darken', { n: this.n, isDark })
  }

  /** The firewall's table is gone, as after a rule set that does not load. */
  async dropFirewall(): Promise<void> {
    await this.read('nft delete table inet fw4')
  }

  async restoreFirewall(): Promise<void> {
    await this.read('fw4 reload')
  }

  /** The box's end of the tunnel knows the host no more. */
  async removePeer(): Promise<void> {
    let before = ''
    // netifd may be making it anew: it takes orders, and carries them out later.
    await this.#until('wg0 can be read', async () => {
      const { code, stdout } = await this.exec('wg showconf wg0')
      before = stdout
      return code === 0
    })
    if (before.includes('[Peer]')) this.#wireguard = before
    await this.read('for peer in $(wg show wg0 peers); do wg set wg0 peer "$peer" remove; done')
  }

  async restorePeer(): Promise<void> {
    if (this.#wireguard === undefined) throw new Error(`Cannot restore the peer of ${this.name}: it was not removed`)
    // wg opens its input by name, which takes a real pipe.
    await this.read('cat | wg setconf wg0 /proc/self/fd/0', this.#wireguard)
  }

  /** The interface of the tunnel is gone. */
  async deleteWg(): Promise<void> {
    await this.read('ip link delete wg0')
  }

  /** By the box's own configuration. Resolves when the interface is there as a whole: addresses come last, after peers. */
  async restoreWg(): Promise<void> {
    await this.read('ifup wg0')
    await this.#until('wg0 is up', async () => (await this.exec('ip -4 addr show dev wg0 | grep -q inet')).code === 0)
  }

  /** Not a byte more fits into `/tmp`, which is memory. */
  async fillTmp(): Promise<void> {
    await this.exec('cat /dev/zero >/tmp/.filler; cat /dev/zero >>/tmp/.filler')
  }

  async freeTmp(): Promise<void> {
    await this.read('rm -f /tmp/.filler')
  }

  /** Not a byte more fits onto the flash. */
  async fillFlash(): Promise<void> {
    await this.exec('cat /dev/zero >/root/.filler; cat /dev/zero >>/root/.filler')
  }

  async freeFlash(): Promise<void> {
    await this.read('rm -f /root/.filler')
  }

  async #until(what: string, question: () => Promise<boolean>): Promise<void> {
    const end = this.#clock.monotonic() + SETTLED_WITHIN_MS
    while (!(await question())) {
      if (this.#clock.monotonic() > end)
        throw new Error(`Waited on ${this.name} until ${what}: it was not so within ${SETTLED_WITHIN_MS} ms`)
      await this.#clock.sleep(POLL_MS)
    }
  }
}

/** The first bytes of a server; empty when there are none. */
async function greeting(host: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect({ host, port, timeout: GREETING_WITHIN_MS })
  socket.on('data', (bytes) => resolve(bytes.toString('latin1')))
  socket.on('timeout', () => resolve(''))
  socket.on('error', () => resolve(''))
  socket.on('end', () => resolve(''))
  const met = await promise
  socket.destroy()
  return met
}
