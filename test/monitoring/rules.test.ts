/** What is in docs/monitoring works, and speaks of metrics that there are. `promtool` is of Debian's package prometheus. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { type Simulation, startSimulation } from '../dashboard/simulated-service.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const FILES = ['alerts.yml', 'alerts.test.yml', 'prometheus.yml', 'grafana-dashboard.json']

const read = (name: string) => readFileSync(join(ROOT, 'docs', name), 'utf8')

/** What `promtool` says; the test fails when it finds a fault. */
async function promtool(args: readonly string[], input = ''): Promise<string> {
  const child = spawn('promtool', args, { cwd: join(ROOT, 'docs', 'monitoring') })
  const [said] = await Promise.all([
    Promise.all([text(child.stdout), text(child.stderr)]),
    once(child, 'close'),
    new Promise((resolve) => child.stdin.end(input, () => resolve(undefined))),
  ])
  assert.equal(child.exitCode, 0, `promtool ${args.join(' ')}: ${said.join('\n')}`)
  return said.join('')
}

/** Names of ours in a text, without what histograms add to theirs. */
function metricsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/\bcbtor_[a-z_]+\b/g)].map(([name]) => name.replace(/_(?:bucket|count|sum)$/, '')))
}

describe('docs/monitoring', { timeout: 120_000 }, () => {
  let service: Simulation
  let scrape = ''
  let served = new Set<string>()

  before(async () => {
    service = await startSimulation({ workers: 3 })
    await service.api.fetch({ url: 'http://www.cbtor.test/', sticky_key: 'a-session' })
    await service.api.fetch({ url: 'http://nowhere.cbtor.test/' }).catch(() => {})
    await service.api.drain(3)
    scrape = await service.api.metrics()
    served = new Set([...scrape.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name))
  })
  after(async () => await service?.[Symbol.asyncDispose]())

  it('has rules that promtool takes, a test of each, and a sample that it takes', async () => {
    await promtool(['check', 'rules', 'alerts.yml'])
    await promtool(['test', 'rules', 'alerts.test.yml'])
    await promtool(['check', 'config', '--syntax-only', 'prometheus.yml'])
    const { groups } = parse(read('monitoring/alerts.yml'))
    const { tests } = parse(read('monitoring/alerts.test.yml'))
    const rules = groups.flatMap((group: { rules: { alert: string }[] }) => group.rules)
    const tested = new Set(
      tests.flatMap((test: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }) =>
        test.alert_rule_test.flatMap(({ alertname, exp_alerts }) => (exp_alerts.length > 0 ? [alertname] : [])),
      ),
    )
    for (const { alert, labels, annotations } of rules) {
      assert.ok(tested.has(alert), `${alert} has no test in which it fires`)
      assert.ok(annotations.summary && annotations.what_to_do, alert)
      assert.ok(['critical', 'warning', 'info'].includes(labels.severity), alert)
    }
  })

  it('names no metric that the service does not have', () => {
    for (const name of [...FILES.map((file) => `monitoring/${file}`), 'monitoring.md'])
      for (const metric of metricsIn(read(name))) assert.ok(served.has(metric), `${name}: ${metric}`)
  })

  it('documents every metric, with its labels', () => {
    const rows = new Map(
      [...read('monitoring.md').matchAll(/^\| `(cbtor_\w+)` \| ([a-z, ]*)\|/gm)].map(([, name = '', labels = '']) => [
        name,
        labels.split(',').map((label) => label.trim()),
      ]),
    )
    assert.deepEqual([...rows.keys()].sort(), [...served].sort())
    for (const [, metric = '', list = ''] of scrape.matchAll(/^(cbtor_[a-z_]+)\{([^}]*)\}/gm)) {
      const name = served.has(metric) ? metric : metric.replace(/_(?:bucket|count|sum)$/, '')
      for (const [, label = ''] of list.matchAll(/(\w+)="/g))
        assert.ok(label === 'le' || rows.get(name)?.includes(label), `${name} has a label ${label}`)
    }
  })

  it('is about a scrape that promtool finds no fault with, and that names no target', async () => {
    await promtool(['check', 'metrics'], scrape)
    assert.doesNotMatch(scrape, /cbtor\.test|a-session/)
    for (const line of [
      /^cbtor_requests_total\{worker="tor\d+",route="fetch",mode="\w+",outcome="ok"\} 1$/m,
      /^cbtor_requests_total\{worker="tor\d+",route="fetch",mode="\w+",outcome="resolve_failed"\} 1$/m,
      /^cbtor_worker_desired\{worker="tor03",state="drained"\} 1$/m,
      /^cbtor_worker_bootstrap_ratio\{worker="tor01"\} 1$/m,
      /^cbtor_sessions 1$/m,
      /^cbtor_build_info\{version="[\d.]+",node="v24[^"]*"\} 1$/m,
    ])
      assert.match(scrape, line)
  })

  it('has a dashboard whose panels lie beside each other, each with a query', () => {
    const { panels, templating } = JSON.parse(read('monitoring/grafana-dashboard.json'))
    const taken = new Set<string>()
    for (const { title, type, targets = [], gridPos } of panels) {
      assert.ok(type === 'row' || targets.length > 0, title)
      assert.ok(gridPos.x + gridPos.w <= 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another`)
          taken.add(`${x} ${y}`)
        }
    }
    assert.deepEqual(templating.list.map(({ name }: { name: string }) => name).sort(), ['datasource', 'instance'])
  })

  it('asks its queries in a way that Prometheus understands', async () => {
    const { panels } = JSON.parse(read('monitoring/grafana-dashboard.json'))
    const queries = panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
      targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*')),
    )
    const rules = queries.map((expr: string, n: number) => ({ record: `query_${n}`, expr }))
    const file = join(mkdtempSync(join(tmpdir(), 'cbtor-queries-')), 'queries.yml')
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
    await promtool(['check', 'rules', file])
    rmSync(dirname(file), { recursive: true })
  })
})
