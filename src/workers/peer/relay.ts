import type { Socket } from 'node:net'

/**
 * Joins the stream of another replica with that of the worker, until both have ended. Each is read no faster than the other takes it; an
 * end of one side is passed on as such, and the other side flows on. What breaks breaks the other side, too: `reset` has the replica
 * see that its connection was lost, so that nobody takes what has come for all there was.
 */
export function relay(peer: Socket, worker: Socket, reset: () => void): void {
  const onError = () => {}
  peer.on('error', onError)
  worker.on('error', onError)
  peer.once('close', () => worker.destroy())
  worker.once('close', () => {
    if (!worker.readableEnded) {
      reset()
      return
    }
    // What it still says nobody would hear, and its end is to be seen.
    peer.unpipe(worker).resume()
  })
  if (peer.destroyed) worker.destroy()
  else if (worker.destroyed) reset()
  else {
    peer.pipe(worker)
    worker.pipe(peer)
  }
}
