import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type CliService, startCliService } from './cli-service.ts'
import { readTranscript, replay } from './transcript.ts'

for (const file of globSync('test/cli/*.txt').sort()) {
  describe(`cbtor, as ${basename(file)} has it`, { timeout: 120_000 }, () => {
    let service: CliService
    before(async () => {
      service = await startCliService()
    })
    after(() => service[Symbol.asyncDispose]())

    for (const each of readTranscript(file)) it(each.title, () => replay(file, each, service))
  })
}
