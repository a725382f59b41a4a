/**
 * What can go wrong on a control connection:
 *
 *     ControlError
 *     ├─ ControlClosedError   the connection is gone, or could not be made
 *     ├─ ProtocolError        the peer does not speak the control protocol; the connection is closed
 *     ├─ AuthenticationError  the peer could not prove that it is our Tor, or we could not prove who we are
 *     └─ ControlReplyError    Tor refused a command; the connection is fine
 *
 * An argument that cannot be sent (it would end the line, say) is a TypeError, and nothing is sent.
 */
export class ControlError extends Error {
  override readonly name: string = 'ControlError'
}

export class ControlClosedError extends ControlError {
  override readonly name = 'ControlClosedError'
}

export class ProtocolError extends ControlError {
  override readonly name = 'ProtocolError'
}

export class AuthenticationError extends ControlError {
  override readonly name = 'AuthenticationError'
}

/** Tell one from another by `code` (control-spec 4): the text is for people and changes between versions of Tor. */
export class ControlReplyError extends ControlError {
  override readonly name = 'ControlReplyError'
  readonly code: number
  readonly text: string

  /** `command` is the keyword alone: arguments may be secret. */
  constructor(command: string, code: number, text: string) {
    super(`Cannot ${command}: Tor replied ${code} ${text}`)
    this.code = code
    this.text = text
  }

  /** 4yz: the same command may succeed later. */
  get isTemporary(): boolean {
    return this.code >= 400 && this.code < 500
  }
}
