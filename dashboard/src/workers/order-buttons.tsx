import type { LiveWorkerBody, NewCircuitsBody } from '../api/bodies.ts'
import { useLive, usePage, useReasonAgainst } from '../context.ts'
import { Button } from '../ui/button.tsx'
import { newCircuitsText, type Order, ordersFor } from './orders.ts'

const NOBODY_AROUND = { workers: [], requests: [] }

/** Everything that can be ordered of a worker. */
export function OrderButtons({ worker }: { readonly worker: LiveWorkerBody }) {
  const { api, notify } = usePage()
  const around = useLive((state) => state.view) ?? NOBODY_AROUND
  const reason = useReasonAgainst('workers:write')

  async function carryOut({ name, path, body, done }: Order) {
    const answer = await api.post<NewCircuitsBody>(path, body)
    notify({ tone: 'ok', text: name === 'newnym' ? newCircuitsText(worker.id, answer) : done })
  }

  return (
    <fieldset class="orders" aria-label={`Orders to ${worker.id}`}>
      {ordersFor(worker, around).map((order) => (
        <Button
          key={order.name}
          icon={order.icon}
          kind={order.isDanger ? 'danger' : 'normal'}
          label={`${order.text}: ${worker.id}`}
          confirm={order.confirm}
          disabledBecause={reason}
          onPress={() => carryOut(order)}
        >
          {order.text}
        </Button>
      ))}
    </fieldset>
  )
}
