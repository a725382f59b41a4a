/**
 * `cbtor workers` on real test boxes, over a real dropbear: every change to their flash is compared file by file. Run it as real root
 * in an empty network namespace: `unshare --net node --test test/openwrt/install.test.ts`. About a minute; needs no internet.
 */
import { after, before, describe } from 'node:test'
import { apkBox } from './install-apk.ts'
import { bareBox } from './install-bare.ts'
import { InstallLab } from './install-lab.ts'
import { ownedBox } from './install-owned.ts'

// The boxes side by side: most of the time is spent waiting for one of them.
describe('cbtor worker', { timeout: 400_000, concurrency: true }, () => {
  let lab: InstallLab
  before(async () => {
    lab = await InstallLab.create({ boxes: 3, bare: [1, 2], apk: [2] })
  })
  after(async () => {
    await lab?.[Symbol.asyncDispose]()
  })

  bareBox(() => lab)
  apkBox(() => lab)
  ownedBox(() => lab)
})
