/**
 * Reads a bomb in a process of its own, so that what it takes of memory can be told: `node test-bomb.ts FILE TIMES HEADER
 * WARM-UP`. The file is sent TIMES times as one body of the codings of HEADER; WARM-UP is a small body of the same kind, which
 * brings in the code. Prints the code of what came of it, the decoded bytes if any, and by how much the process has grown.
 */
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { CbtorError } from '../domain/errors.ts'
import { readBody } from './response-body.ts'

const [, , file = '', times = '1', header = '', warmUp = ''] = process.argv
const MAX_BYTES = 100 * 1024 * 1024
const CHUNK = 64 * 1024

async function read(piece: Buffer, count: number): Promise<string> {
  function* body() {
    for (let turn = 0; turn < count; turn++)
      for (let at = 0; at < piece.length; at += CHUNK) yield piece.subarray(at, at + CHUNK)
  }
  try {
    const { bytes } = await readBody(Readable.from(body()), [['content-encoding', header]], { maxBytes: MAX_BYTES })
    return `ok ${bytes.length}`
  } catch (error) {
    return error instanceof CbtorError ? error.code : String(error)
  }
}

const bomb = readFileSync(file)
for (let turn = 0; turn < 20; turn++) await read(readFileSync(warmUp), 1)
const before = process.memoryUsage.rss()
const outcome = await read(bomb, Number(times))
// The most that there has ever been, also between two looks.
const grown = process.resourceUsage().maxRSS * 1024 - before
process.stdout.write(`${outcome} ${grown}\n`)
