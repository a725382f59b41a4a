import type { BoxFile } from '../boxes/box-file.ts'
import { type TunnelSpec, tunnelSpec } from './spec.ts'

/** A box file that is right. `tunnel`: what is to be different. */
export function testBox(tunnel: Partial<BoxFile['tunnel']> = {}, id = 'tor01'): BoxFile {
  return {
    id,
    ssh: { host: '192.0.2.11', port: 22, user: 'root', hostKey: `SHA256:${'A'.repeat(43)}`, keyFile: '/key' },
    tunnel: {
      n: 1,
      privateKey: 'QCXBVLvwEGn1nZ6sTZBQfaO9FpHNkxqn3gMkLbCDlVA=',
      listenPort: 51821,
      boxPublicKey: 'SyQUrII5T63VnMB7WWK8+rZhXso4IcZbvPvzxsy01HQ=',
      boxEndpoint: '192.0.2.11:51820',
      hostEndpoint: '192.0.2.2:51821',
      ...tunnel,
    },
    payload: '1',
    packageManager: 'opkg',
  }
}

export function testSpec(tunnel: Partial<BoxFile['tunnel']> = {}, id = 'tor01'): TunnelSpec {
  return tunnelSpec(testBox(tunnel, id))
}
