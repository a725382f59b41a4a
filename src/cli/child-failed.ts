/** A run of this program on behalf of another one has failed, and has said why where the user sees it. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`It ended with exit code ${exitCode}`)
    this.exitCode = exitCode
  }
}
