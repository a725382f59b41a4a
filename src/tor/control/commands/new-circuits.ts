import { abortable } from '../../../lib/abort.ts'
import type { ControlConnection } from '../connection.ts'
import { throwRefusal } from '../reply.ts'

/**
 * SIGNAL NEWNYM, resolving once Tor has acted on it: it replies at once, but acts at most every 10 s and announces that
 * by the event SIGNAL, to which the connection must be subscribed. New streams then get new circuits; a new exit
 * address is likely, not promised.
 */
export async function newCircuits(control: ControlConnection, signal: AbortSignal): Promise<void> {
  const acted = Promise.withResolvers<void>()
  acted.promise.catch(() => {})
  // An event before the reply announces an earlier signal, not ours.
  let isAccepted = false
  using _event = control.onEvent((event) => {
    if (isAccepted && event.type === 'SIGNAL' && event.signal === 'NEWNYM') acted.resolve()
  })
  using _close = control.onClose(acted.reject)

  const reply = await control.send('SIGNAL NEWNYM', signal, () => {
    isAccepted = true
  })
  throwRefusal('SIGNAL', reply)
  await abortable(acted.promise, signal)
}
