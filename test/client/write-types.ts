/** `node test/client/write-types.ts`: writes src/client/openapi.ts anew. */
import { writeFileSync } from 'node:fs'
import { createTestApp } from '../../src/api/test-app.ts'
import { typescriptOf } from './typescript-of.ts'

await using test = await createTestApp()
writeFileSync('src/client/openapi.ts', typescriptOf((await test.app.inject({ url: '/openapi.json' })).json()))
