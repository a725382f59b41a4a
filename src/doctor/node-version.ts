import { type Finding, ok, wrong } from './finding.ts'

/** As in package.json; it runs TypeScript as it is and has SQLite. */
const OLDEST = 24

/** `version`: as `process.versions.node` has it. */
export function checkNode(version: string): Finding {
  return Number.parseInt(version, 10) >= OLDEST
    ? ok('node', version)
    : wrong('node', `${version} is older than ${OLDEST}`, 'Start it by npm, which brings its own Node: npm start')
}
