import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { closeChannel } from './channels.ts'

/**
 * A channel as a stream that keeps Node's rules, which ssh2's own does not: once destroyed it is closed at once, however dead the
 * box is. Whoever knows that the connection is lost destroys it with the reason; left to itself, ssh2 would end it as if the box
 * had said all that it had to say.
 */
export class ForwardStream extends Duplex {
  readonly #channel: ClientChannel

  constructor(channel: ClientChannel) {
    super()
    this.#channel = channel
    // So that an error that nobody listens for does not end the process.
    this.on('error', () => {})
    channel.on('error', () => {})
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause()
    })
    channel.once('end', () => this.push(null))
    channel.once('close', () => {
      // What came before the close is still to be read; nothing more can be written.
      if (this.readableEnded) this.destroy()
      else this.once('end', () => this.destroy())
    })
  }

  override _read(): void {
    this.#channel.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#channel.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    closeChannel(this.#channel)
    done(error)
  }
}
