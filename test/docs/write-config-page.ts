/** `node test/docs/write-config-page.ts`: writes the table of fields in docs/configuration.md anew. */
import { readFileSync, writeFileSync } from 'node:fs'
import { CONFIG_PAGE, configPageOf } from './config-page.ts'

writeFileSync(CONFIG_PAGE, configPageOf(readFileSync(CONFIG_PAGE, 'utf8')))
