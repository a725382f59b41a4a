#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The command `cbtor` of the package. Any Node can read this file, so that one that is too old says so: what follows is a syntax error
 * or a missing module to it. The flag above is explained in src/main.ts.
 */
const OLDEST = 24
const version = process.versions.node

if (Number.parseInt(version, 10) < OLDEST) {
  process.stderr.write(
    `cbtor: this is Node.js ${version}, and CBTOR takes ${OLDEST} or newer. Install one (https://nodejs.org), or CBTOR's Debian package, which brings its own.\n`,
  )
  process.exitCode = 1
} else {
  await import('../dist/main.js')
}
