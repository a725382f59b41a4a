import { ProtocolError } from '../errors.ts'
import { identifier } from '../quote.ts'
import { type CommandSender, type Reply, request } from '../reply.ts'

export interface ExtendCircuitOptions {
  /** The circuit to extend; a new one by default. */
  readonly circuitId?: string
  /** Fingerprints of the relays, guard first; by default Tor chooses the whole path. */
  readonly path?: readonly string[]
  /** Of a new circuit; `general` by default. Tor itself puts no streams on a `controller` circuit. */
  readonly purpose?: 'general' | 'controller'
}

/**
 * EXTENDCIRCUIT (control-spec 3.10): gives the circuit's id at once. Events CIRC tell how it goes on: BUILT, or FAILED.
 * Rejects with ControlReplyError 551 or 552 when Tor cannot start. `onOrdered` is called with the id before any event that tells of
 * the circuit.
 */
export async function extendCircuit(
  control: CommandSender,
  options: ExtendCircuitOptions,
  signal: AbortSignal,
  onOrdered: (circuitId: string) => void = () => {},
): Promise<string> {
  const line = ['EXTENDCIRCUIT', identifier(options.circuitId ?? '0')]
  if (options.path) line.push(options.path.map((fingerprint) => `$${identifier(fingerprint)}`).join(','))
  if (options.purpose) line.push(`purpose=${options.purpose}`)

  const reply = await request(control, line.join(' '), signal, (answer) => {
    const id = idIn(answer)
    if (id !== undefined) onOrdered(id)
  })
  const circuitId = idIn(reply)
  if (circuitId === undefined) throw new ProtocolError('Cannot EXTENDCIRCUIT: the reply names no circuit')
  return circuitId
}

function idIn({ lines: [first] }: Reply): string | undefined {
  return /^EXTENDED (\w+)/.exec(first?.text ?? '')?.[1]
}
