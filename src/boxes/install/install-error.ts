/** Why something could not be installed, checked or taken away: what, why, and how to mend it, in sentences. */
export class InstallError extends Error {
  override readonly name = 'InstallError'
}
