import type { ReplicasBody } from '../api/bodies.ts'
import { useReasonAgainst } from '../context.ts'
import { useResource } from '../ui/use-resource.ts'
import { gatewaysSentence } from './gateways-sentence.ts'

const PATH = '/api/v1/replicas'
const EVERY_MS = 5_000

/** A line about the gateways of the pool; nothing, and asked for once, where this one is alone. */
export function Gateways() {
  const isAllowed = useReasonAgainst('workers:read') === undefined
  const { data } = useResource<ReplicasBody>(isAllowed ? PATH : undefined)
  return data === undefined || data.store.kind === 'embedded' ? null : <GatewaysLine first={data} />
}

function GatewaysLine({ first }: { readonly first: ReplicasBody }) {
  const { data = first } = useResource<ReplicasBody>(PATH, { everyMs: EVERY_MS })
  return <p class="pool-calm muted">{gatewaysSentence(data)}</p>
}
