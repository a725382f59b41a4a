import type { ReplicasBody } from '../api/bodies.ts'
import { counted } from '../ui/text.ts'

/** Which gateways the pool has, and whether the store that they share answers; undefined for one that is alone. */
export function gatewaysSentence({ store, replicas }: ReplicasBody): string | undefined {
  if (store.kind === 'embedded') return undefined
  const names = replicas.map(({ name, self }) => (self && replicas.length > 1 ? `${name} (this one)` : name))
  const answers = store.up ? 'the store answers' : 'the store does not answer'
  const waits = store.pending > 0 ? `, ${counted(store.pending, 'change')} not written to it yet` : ''
  return `Gateways: ${names.join(', ')}; ${answers}${waits}.`
}
