/** A gateway that shares a store with others. Loaded only there. */
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { EventStream } from './cluster/event-stream.ts'
import { HealthShare } from './cluster/health-share.ts'
import { openStore } from './cluster/open-store.ts'
import { poolSecret } from './cluster/pool-secret.ts'
import type { Member } from './cluster/presence.ts'
import { SharedRegisters } from './cluster/shared-registers.ts'
import { SharedStore } from './cluster/shared-store.ts'
import { readStoreAccess } from './cluster/store-access.ts'
import { redisOptions } from './cluster/valkey-connection.ts'
import { ValkeyLeases } from './cluster/valkey-leases.ts'
import { ValkeyPresence } from './cluster/valkey-presence.ts'
import { ValkeyRegisters } from './cluster/valkey-registers.ts'
import type { ServiceConfig } from './config/read-config.ts'
import { faultFields } from './lib/fault-fields.ts'
import { Seal } from './lib/seal.ts'
import type { Cluster, ClusterParts, Shared } from './service-cluster.ts'
import { createSharedJobs } from './service-shared-jobs.ts'
import { SqliteWriteJournal } from './store/write-journal.ts'

/** Rejects with a `StoreError` when the store cannot be had. */
export async function together(config: ServiceConfig, parts: ClusterParts, signal: AbortSignal): Promise<Cluster> {
  const { clock, random, logger, version, storeWait } = parts
  const { replica, prefix, secret_file } = config.cluster
  await using opened = new AsyncDisposableStack()
  const onError = (error: unknown) => logger.error({ ...faultFields(error) }, 'a part of the cluster failed')

  const access = readStoreAccess({ store: config.store, cluster: config.cluster })
  const secret = poolSecret(secret_file, random)
  const link = opened.use(
    await openStore(
      {
        ...{ url: config.store, prefix, secret, replica, version, clock, random, logger },
        ...{ password: access.password, ca: access.ca },
        waitMs: storeWait?.ms ?? 0,
        onWait: (reason) => storeWait?.onWait(reason),
      },
      signal,
    ),
  )
  const run = random.bytes(16).toString('hex')
  const self: Member = { replica, run, version, startedAt: clock.now() }
  const journal = opened.use(new SqliteWriteJournal(join(config.state, 'unsent.db'), poolId(secret, prefix)))
  const hub = new ValkeyRegisters({ link, seal: new Seal(secret, 'registers', random), random })
  const registers = opened.use(await SharedRegisters.open({ hub, clock, run, journal, onError }, signal))
  const store = opened.adopt(new SharedStore({ registers, clock, run, secret, onError }), (each) =>
    each[Symbol.dispose](),
  )
  const presence = opened.use(
    new ValkeyPresence({
      ...{ link, clock, self, onError, seal: new Seal(secret, 'presence', random) },
      onNamesake: () =>
        logger.error(
          { replica },
          'another gateway of the pool has our name: give one of the two another cluster.replica',
        ),
    }),
  )
  const leases = opened.use(new ValkeyLeases({ link, presence, clock, onError }))
  const health = opened.use(new HealthShare({ presence, leases, clock, onError }))
  const events = opened.use(new EventStream({ link, self, clock, logger, seal: new Seal(secret, 'events', random) }))

  const createJobs: Shared['createJobs'] = (jobsParts) =>
    createSharedJobs(config, { ...jobsParts, link, secret, run, connection: redisOptions(link.access) })

  const owned = opened.move()
  return {
    store,
    shared: { link, secret, registers, presence, leases, events, health, createJobs },
    leads: () => presence.members()[0]?.run === run,
    heals: ({ name, reach }) => (reach === 'shared' ? leases.held(name.id) !== undefined : reach === 'own'),
    view(workers) {
      const healers = workers.flatMap(({ name, reach }) => (reach === 'shared' ? [leases.holder(name.id)] : []))
      return {
        store: { kind: 'shared', isUp: link.isUp, downSince: link.downSince, pending: registers.pending },
        replicas: presence.members().map((member) => ({
          ...{ name: member.replica, version: member.version, startedAt: member.startedAt },
          isSelf: member.run === run,
          heals: healers.filter((healer) => healer === member.replica).length,
        })),
      }
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  }
}

/** What is to be written for one pool is never written to another one, whatever becomes of the state directory. */
function poolId(secret: Buffer, prefix: string): string {
  return createHmac('sha256', secret).update(`cbtor journal of ${prefix}`).digest('base64url')
}
