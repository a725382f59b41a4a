import { leasesContract } from '../contracts/leases-contract.ts'
import { presenceContract } from '../contracts/presence-contract.ts'
import { valkeyPlace } from '../contracts/valkey-place.ts'

presenceContract('a real store', valkeyPlace)
leasesContract('a real store', valkeyPlace)
