import { type Duplex, duplexPair } from 'node:stream'

/** The other end of a control connection, for tests: answers each command line with what `answer` gives. */
export class FakeTor {
  /** Our end: hand it to ControlConnection. */
  readonly stream: Duplex
  /** The command lines that came, without CRLF. */
  readonly received: string[] = []
  readonly #peer: Duplex
  #partial = ''

  /** `answer` gives the bytes of a reply, CRLF and all; undefined says nothing for now. */
  constructor(answer: (line: string) => string | undefined = () => undefined) {
    const [ours, theirs] = duplexPair()
    this.stream = ours
    this.#peer = theirs
    theirs.on('data', (chunk: Buffer) => {
      const lines = (this.#partial + chunk.toString('latin1')).split('\r\n')
      this.#partial = lines.pop() ?? ''
      for (const line of lines) {
        this.received.push(line)
        const reply = answer(line)
        if (reply !== undefined) this.send(reply)
      }
    })
    theirs.on('error', () => {})
  }

  /** Sends bytes, one character each. */
  send(text: string): void {
    this.#peer.write(text, 'latin1')
  }

  /** Hangs up. */
  end(): void {
    this.#peer.end()
  }
}
