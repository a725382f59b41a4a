import type { Isolation } from '../../../../src/domain/identity.ts'
import type { Mode } from '../../api/bodies.ts'

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

export const MODE_NAMES: Readonly<Record<Mode, string>> = {
  round_robin: 'round robin',
  sticky: 'sticky',
  random: 'random',
  least_connections: 'least connections',
  failover: 'failover',
}

export const ISOLATION_NAMES: Readonly<Record<Isolation, string>> = {
  destination: 'by destination',
  request: 'this request alone',
  none: 'none',
}
