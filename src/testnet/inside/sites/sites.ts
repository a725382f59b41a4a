import { readFile } from 'node:fs/promises'
import type { Clock } from '../../../lib/clock.ts'
import { exitSourceAddresses, type NetworkPlan } from '../../plan.ts'
import type { CertificateFiles, Certificates } from '../certificates.ts'
import { checkRoutes } from './check.ts'
import { faultRoutes } from './faults.ts'
import { repositoryRoutes } from './repository.ts'
import type { RequestLog } from './request-log.ts'
import { SiteServer } from './site-server.ts'
import { wwwRoutes } from './www.ts'

/** Starts every web site of the network; disposing the answer stops them. */
export async function listenSites(
  plan: NetworkPlan,
  certificates: Certificates,
  log: RequestLog,
  clock: Clock,
): Promise<AsyncDisposable> {
  const [tls, badTls] = await Promise.all([
    readCertificate(certificates.site),
    readCertificate(certificates.selfSigned),
  ])
  const { addresses, ports } = plan
  const check = { name: 'check', routes: checkRoutes(exitSourceAddresses(plan)), address: addresses.check, log, clock }
  const www = {
    name: 'www',
    routes: [...wwwRoutes, ...faultRoutes, ...repositoryRoutes()],
    address: addresses.www,
    log,
    clock,
  }
  const badcert = { ...www, name: 'badcert', address: addresses.badcert }

  await using started = new AsyncDisposableStack()
  for (const options of [
    { ...check, port: ports.http },
    { ...check, port: ports.https, tls },
    { ...www, port: ports.http },
    { ...www, port: ports.https, tls },
    { ...badcert, port: ports.https, tls: badTls },
  ]) {
    started.use(await SiteServer.listen(options))
  }
  return started.move()
}

async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<{ cert: string; key: string }> {
  return { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
}
