import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { loadCertificate } from '../../src/listen/certificate.ts'
import { blocksOf } from './pages.ts'

it('docs/exposing.md makes a certificate that the service takes', async () => {
  const block = blocksOf('docs/exposing.md').find(({ text }) => text.includes('openssl req'))
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-docs-'))
  try {
    execFileSync('sh', ['-eu', '-c', String(block?.text).replaceAll('/etc/cbtor', directory)], { stdio: 'pipe' })
    const files = { cert_file: join(directory, 'cert.pem'), key_file: join(directory, 'key.pem') }
    assert.equal((await loadCertificate(files)).names, 'IP Address:192.168.1.5, DNS:cbtor.lan')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
