import { allAddresses, type NetworkPlan } from '../plan.ts'
import { run } from './run.ts'

/** Gives the loopback interface of a new network namespace all addresses of the network. */
export async function setUpAddresses(plan: NetworkPlan, signal: AbortSignal): Promise<void> {
  // On the machine's own network, the addresses of 127.0.0.0/8 are there already.
  if (plan.isolation === 'loopback') return
  const commands = ['link set lo up', ...allAddresses(plan).map((address) => `address add ${address}/32 dev lo`)]
  await run(['ip', '-batch', '-'], `${commands.join('\n')}\n`, signal)
}
