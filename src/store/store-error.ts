/**
 * A shared store that cannot be had at the start. The message says what was attempted, then why not, and what would be right; it is for
 * the operator, never for clients.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  /** `unreachable`: it may come by itself. `refused`: something has to be mended first. */
  readonly kind: 'unreachable' | 'refused'
  /** Somebody waited for it, and it did not come. */
  readonly isWaitedFor: boolean

  constructor(
    kind: StoreError['kind'],
    message: string,
    { isWaitedFor = false, ...options }: ErrorOptions & { readonly isWaitedFor?: boolean } = {},
  ) {
    super(message, options)
    this.kind = kind
    this.isWaitedFor = isWaitedFor
  }
}
