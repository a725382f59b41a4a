import assert from 'node:assert/strict'
import { it } from 'node:test'
import { forget, keep, recall } from './storage.ts'

/** What a browser has there; a getter that throws is one that may keep nothing. */
function withStorage(get: () => unknown, work: () => void): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'sessionStorage')
  Object.defineProperty(globalThis, 'sessionStorage', { get, configurable: true })
  try {
    work()
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'sessionStorage')
    else Object.defineProperty(globalThis, 'sessionStorage', before)
  }
}

function useIt(): void {
  assert.equal(recall('sessionStorage', 'a'), undefined)
  keep('sessionStorage', 'a', '1')
  assert.equal(recall('sessionStorage', 'a'), '1')
  forget('sessionStorage', 'a')
  assert.equal(recall('sessionStorage', 'a'), undefined)
}

it('keeps in the browser what it may, and remembers it where it may not', () => {
  const items = new Map<string, string>()
  const storage = {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, value: string) => void items.set(name, value),
    removeItem: (name: string) => void items.delete(name),
  }
  withStorage(() => storage, useIt)
  withStorage(() => {
    throw new Error('SecurityError')
  }, useIt)
})
