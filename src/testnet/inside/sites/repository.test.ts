import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../../lib/clock.ts'
import { repositoryRoutes } from './repository.ts'
import { RequestLog } from './request-log.ts'
import { SiteServer } from './site-server.ts'

describe('the repository', { timeout: 20_000 }, () => {
  it('can be cloned by git, and is sound', async () => {
    const log = new RequestLog(systemClock)
    const at = { name: 'site', address: '127.0.0.1', port: 0 }
    await using site = await SiteServer.listen({ ...at, routes: repositoryRoutes(), log, clock: systemClock })
    const folder = mkdtempSync(join(tmpdir(), 'cbtor-git-'))
    try {
      const env = { ...process.env, GIT_CONFIG_NOSYSTEM: '1', HOME: folder, http_proxy: '' }
      const url = `http://127.0.0.1:${site.port}/repository.git`
      await promisify(execFile)('git', ['clone', '-q', url, join(folder, 'clone')], { env })
      assert.match(readFileSync(join(folder, 'clone', 'README.md'), 'utf8'), /inside the private Tor network/)
      await promisify(execFile)('git', ['-C', join(folder, 'clone'), 'fsck', '--strict'], { env })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
