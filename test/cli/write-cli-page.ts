/** `node test/cli/write-cli-page.ts`: writes the reference in docs/cli.md anew. */
import { readFileSync, writeFileSync } from 'node:fs'
import { BEGINNING, commandReference } from './cli-page.ts'

const PAGE = 'docs/cli.md'
const [byHand = ''] = readFileSync(PAGE, 'utf8').split(BEGINNING)
writeFileSync(PAGE, `${byHand}${await commandReference()}`)
