/** Who can mend it: `not-installed` and `directory` the operator; `exited` says why in tor's own words; `not-running` the caller. */
export type TorProcessFault = 'not-installed' | 'directory' | 'exited' | 'not-running'

/** A tor process that could not be started, or that ended on its way. */
export class TorProcessError extends Error {
  override readonly name = 'TorProcessError'
  readonly fault: TorProcessFault

  constructor(fault: TorProcessFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }
}
