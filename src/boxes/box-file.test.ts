import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import {
  type BoxFile,
  boxFilePath,
  isEndpoint,
  readBoxes,
  readBoxFile,
  removeBoxFile,
  splitEndpoint,
  writeBoxFile,
} from './box-file.ts'
import { createWireguardKeys } from './wireguard-keys.ts'

function temporaryState() {
  const path = mkdtempSync(join(tmpdir(), 'cbtor-boxes-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

function boxFile(id: string, n: number): BoxFile {
  return {
    id,
    ssh: { host: '192.0.2.11', port: 22, user: 'root', hostKey: `SHA256:${'a'.repeat(43)}`, keyFile: '/keys/id' },
    tunnel: {
      n,
      privateKey: createWireguardKeys().privateKey,
      listenPort: 51_820 + n,
      boxPublicKey: createWireguardKeys().publicKey,
      boxEndpoint: '192.0.2.11:51820',
      hostEndpoint: `192.0.2.2:${51_820 + n}`,
    },
    payload: '1-abc',
    packageManager: 'opkg',
  }
}

it('reads what was written, and lets only its owner read it', () => {
  using state = temporaryState()
  const box = boxFile('tor01', 1)
  const path = writeBoxFile(state.path, box)
  assert.deepEqual(readBoxFile(path), box)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(statSync(join(state.path, 'boxes')).mode & 0o777, 0o700)
  assert.deepEqual(readdirSync(join(state.path, 'boxes')), ['tor01.json'])
  const { tunnel } = JSON.parse(readFileSync(path, 'utf8'))
  assert.equal(tunnel.box_public_key, box.tunnel.boxPublicKey)
})

it('knows all boxes, and none where none was installed', () => {
  using state = temporaryState()
  assert.deepEqual(readBoxes(state.path), [])
  writeBoxFile(state.path, boxFile('tor02', 2))
  writeBoxFile(state.path, boxFile('tor01', 1))
  assert.deepEqual(
    readBoxes(state.path).map(({ id }) => id),
    ['tor01', 'tor02'],
  )
  removeBoxFile(state.path, 'tor01')
  assert.deepEqual(
    readBoxes(state.path).map(({ id }) => id),
    ['tor02'],
  )
})

it('refuses two boxes with one tunnel number', () => {
  using state = temporaryState()
  writeBoxFile(state.path, boxFile('tor01', 1))
  writeBoxFile(state.path, { ...boxFile('tor02', 1) })
  assert.throws(() => readBoxes(state.path), /Boxes tor01 and tor02 both have tunnel number 1: .*--tunnel/)
})

it('says what is wrong with a file and what would be right', () => {
  using state = temporaryState()
  const path = writeBoxFile(state.path, boxFile('tor01', 1))
  const document = JSON.parse(readFileSync(path, 'utf8'))
  const broken = (change: (copy: typeof document) => void) => {
    const copy = structuredClone(document)
    change(copy)
    writeFileSync(path, JSON.stringify(copy))
    return () => readBoxFile(path)
  }
  assert.throws(
    broken((copy) => {
      copy.tunnel.n = 255
      copy.ssh.host = '-oProxyCommand=reboot'
    }),
    /tor01\.json: ssh\.host: expected a host name or an address, without brackets; tunnel\.n: /,
  )
  assert.throws(
    broken((copy) => {
      copy.tunnel.host_endpoint = '192.0.2.2:99999'
    }),
    /tunnel\.host_endpoint: expected HOST:PORT/,
  )
  assert.throws(
    broken((copy) => {
      copy.version = 2
    }),
    /version: expected 1/,
  )
  assert.throws(
    broken((copy) => {
      copy.id = 'tor02'
    }),
    /its name must be tor02\.json/,
  )
  writeFileSync(path, `{"private_key": "secret`)
  assert.throws(
    () => readBoxFile(path),
    (error: Error) => /it is not JSON/.test(error.message) && !/secret/.test(error.message),
  )
  chmodSync(path, 0o644)
  assert.throws(() => readBoxFile(path), /everybody may read it; mend it with: chmod 600 /)
  assert.throws(
    () => readBoxFile(boxFilePath(state.path, 'tor09')),
    /No box tor09 is installed: .*cbtor workers install/,
  )
})

it('writes no file that it could not read', () => {
  using state = temporaryState()
  assert.throws(() => writeBoxFile(state.path, { ...boxFile('tor01', 1), id: '../x' }), /id: expected a letter/)
})

it('knows an endpoint when it sees one', () => {
  for (const right of ['192.0.2.2:51821', '[2001:db8::2]:51821', '[fe80::1%wan]:1', 'home.example:65535', 'gw:51821'])
    assert.ok(isEndpoint(right), right)
  for (const wrong of [
    '192.0.2.300:51821',
    '192.0.2.2',
    'gw:0',
    'gw:65536',
    '2001:db8::2:51821',
    '-x:1',
    "a'b:1",
    'x.onion:1',
    '',
  ])
    assert.ok(!isEndpoint(wrong), wrong)
  assert.deepEqual(splitEndpoint('[fe80::1%wan]:51821'), ['fe80::1%wan', 51821])
})
