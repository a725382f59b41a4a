import { identifier } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'

export interface CloseCircuitOptions {
  /** Leave a circuit that has carried a stream. */
  readonly ifUnused?: boolean
}

/** CLOSECIRCUIT (control-spec 3.17). Rejects with ControlReplyError 552 when there is no such circuit. */
export async function closeCircuit(
  control: CommandSender,
  circuitId: string,
  options: CloseCircuitOptions,
  signal: AbortSignal,
): Promise<void> {
  await request(control, `CLOSECIRCUIT ${identifier(circuitId)}${options.ifUnused ? ' IfUnused' : ''}`, signal)
}
