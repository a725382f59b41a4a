/**
 * What can go wrong on the way into a TransPort:
 *
 *     TransparentUnreachableError  the network between us and it is down, or nobody listens there
 *     TransparentResolveError      its DNSPort did not answer, or refused
 *
 * That a connection is made says nothing of the target: the kernel at the TransPort takes everything.
 */
export class TransparentUnreachableError extends Error {
  override readonly name = 'TransparentUnreachableError'
}

export class TransparentResolveError extends Error {
  override readonly name = 'TransparentResolveError'
  /** As node:dns has it: `ETIMEOUT`, `ECONNREFUSED`, `ENOTFOUND`, ... */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
