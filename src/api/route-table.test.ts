import assert from 'node:assert/strict'
import { it } from 'node:test'
import { RouteTable } from './route-table.ts'

it('tells the methods of a path, whatever its parameters', () => {
  const table = new RouteTable()
  table.add('/workers/:n', ['POST', 'GET'])
  table.add('/workers/:n', 'HEAD')
  table.add('/static/*', 'GET')
  table.add('/openapi.json', 'GET')
  assert.deepEqual(table.methodsOf('/workers/tor01'), ['GET', 'HEAD', 'POST'])
  assert.deepEqual(table.methodsOf('/static/a/b.css'), ['GET'])
  for (const path of ['/workers/', '/workers/1/x', '/openapi-json', '/', '', '/workers']) {
    assert.deepEqual(table.methodsOf(path), [], path)
  }
})
