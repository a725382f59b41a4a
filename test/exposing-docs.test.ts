import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { parseConfig } from '../src/config/read-config.ts'
import { loadCertificate } from '../src/listen/certificate.ts'

const PAGES = ['README.md', 'docs/exposing.md']

/** The blocks of a language, as they stand in a page. */
function blocks(page: string, language: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, '..', page), 'utf8')
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, code = '']) =>
    name === language ? [code] : [],
  )
}

describe('what the pages say about exposing the service', { timeout: 300_000 }, () => {
  it('makes a certificate that the service takes', async () => {
    for (const page of PAGES) {
      const command = blocks(page, 'sh').find((block) => block.includes('openssl req'))
      assert.ok(command, page)
      const directory = mkdtempSync(join(tmpdir(), 'cbtor-docs-'))
      try {
        const lines = command.split('\n').filter((line) => !/^(?:npm|cbtor|ufw) /.test(line))
        execFileSync('sh', ['-e', '-c', lines.join('\n').replaceAll('/etc/cbtor', directory)], { stdio: 'pipe' })
        const files = { cert_file: join(directory, 'cert.pem'), key_file: join(directory, 'key.pem') }
        assert.equal((await loadCertificate(files)).names, 'IP Address:192.168.1.5, DNS:cbtor.lan')
      } finally {
        rmSync(directory, { recursive: true })
      }
    }
  })

  it('is a configuration that the service takes', () => {
    const documents = PAGES.flatMap((page) => blocks(page, 'yaml').map((text) => parse(text)))
    assert.ok(documents.length >= 4)
    for (const document of documents) assert.doesNotThrow(() => parseConfig(document, {}), JSON.stringify(document))
  })
})
