import { type ListenAddress, showListenAddress, staysOnMachine } from '../listen/address.ts'
import type { ConfigDocument } from './schema.ts'

export type ExposureDocument = Pick<ConfigDocument, 'listen' | 'auth' | 'tls'> & {
  readonly proxy: Pick<ConfigDocument['proxy'], 'http' | 'socks' | 'both' | 'auth'>
}

const ON_THIS_MACHINE = 'an address of this machine alone (127.0.0.1, [::1] or unix:/PATH)'

/** Whether clients of the proxy have to give a key. */
export function proxyAuth({ auth, proxy }: Pick<ExposureDocument, 'auth' | 'proxy'>): 'on' | 'off' {
  return proxy.auth ?? auth
}

export interface ExposureFault {
  readonly field: string
  readonly message: string
}

/** Everything that would be open to others in a way that nobody can want, each with what would be right. */
export function exposureFaults(config: ExposureDocument): readonly ExposureFault[] {
  const { listen, auth, proxy } = config
  const ports = (['http', 'socks', 'both'] as const).flatMap((name) => {
    const at = proxy[name]
    return at === undefined || at === 'off' ? [] : [{ field: `proxy.${name}`, at }]
  })
  return [
    ...faultsOf('listen', listen, 'auth', auth, config),
    ...ports.flatMap(({ field, at }) =>
      faultsOf(field, at, proxy.auth === undefined ? 'auth' : 'proxy.auth', proxyAuth(config), config),
    ),
  ]
}

function faultsOf(
  field: string,
  at: ListenAddress,
  authField: string,
  auth: 'on' | 'off',
  { tls }: ExposureDocument,
): readonly ExposureFault[] {
  const shown = showListenAddress(at)
  if (staysOnMachine(at)) {
    // What does TLS in front of the API lets others in; a port of the proxy may be for this machine all the same.
    const isFronted = tls === 'offloaded' && field === 'listen' && auth === 'off'
    return isFronted
      ? [
          {
            field,
            message: `others can reach ${shown} through what does TLS for it, and would need no key: expected auth: on`,
          },
        ]
      : []
  }
  const messages: string[] = []
  if (auth === 'off')
    messages.push(`others can reach ${shown}, and would need no key: expected ${authField}: on, or ${ON_THIS_MACHINE}`)
  if (tls === undefined)
    messages.push(
      `others can reach ${shown}, and keys would cross the network in the clear: expected tls with cert_file and key_file, tls: offloaded where something in front does TLS, or ${ON_THIS_MACHINE}`,
    )
  return messages.map((message) => ({ field, message }))
}
