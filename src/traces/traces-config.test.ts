import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readTracesConfig, TracesFault } from './traces-config.ts'

const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT'

describe('readTracesConfig()', () => {
  it('is off unless the variables ask for traces', () => {
    for (const env of [
      {},
      { OTEL_SERVICE_NAME: 'a', OTEL_TRACES_SAMPLER: 'nonsense' },
      { [ENDPOINT]: '' },
      { [ENDPOINT]: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'true' },
      { [ENDPOINT]: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'none' },
    ])
      assert.equal(readTracesConfig(env), undefined)
  })

  it('reads where traces go', () => {
    const at = (env: Record<string, string>) => {
      const { host, port, path, tls } = readTracesConfig(env)?.collector ?? {}
      return [host, port, path, tls]
    }
    assert.deepEqual(at({ [ENDPOINT]: 'http://localhost:4318/' }), ['127.0.0.1', 4318, '/v1/traces', undefined])
    assert.deepEqual(at({ [ENDPOINT]: 'http://[::1]/otlp' }), ['::1', 80, '/otlp/v1/traces', undefined])
    assert.deepEqual(at({ OTEL_TRACES_EXPORTER: 'otlp' }), ['127.0.0.1', 4318, '/v1/traces', undefined])
    const own = { [ENDPOINT]: 'http://192.0.2.1', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://192.0.2.2/in?a=b' }
    assert.deepEqual(at(own), ['192.0.2.2', 443, '/in?a=b', { ca: undefined }])
  })

  it('reads headers, times, names and samplers', () => {
    const config = readTracesConfig({
      ...{ [ENDPOINT]: 'http://127.0.0.1', OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b, y=c=d' },
      ...{ OTEL_EXPORTER_OTLP_TIMEOUT: '500', OTEL_SERVICE_NAME: 'gateway' },
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=lab',
      ...{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' },
    })
    assert.deepEqual(config?.collector.headers, { 'x-key': 'a b', y: 'c=d' })
    assert.equal(config?.collector.timeoutMs, 500)
    assert.deepEqual(config?.resource, { 'service.name': 'gateway', 'deployment.environment.name': 'lab' })
    assert.deepEqual(config?.sampler, { isParentBased: false, ratio: 0.25 })
    const sampler = (name: string) =>
      readTracesConfig({ [ENDPOINT]: 'http://127.0.0.1', OTEL_TRACES_SAMPLER: name })?.sampler
    assert.deepEqual(sampler(''), { isParentBased: true, ratio: 1 })
    assert.deepEqual(sampler('always_off'), { isParentBased: false, ratio: 0 })
    assert.deepEqual(sampler('parentbased_traceidratio'), { isParentBased: true, ratio: 1 })
  })

  it('refuses a collector that has a name, since no name is looked up outside Tor, and whatever else it cannot do', () => {
    for (const [env, message] of [
      [
        { [ENDPOINT]: 'http://collector.example:4318' },
        /^OTEL_EXPORTER_OTLP_ENDPOINT: "collector\.example" is a name, .*IP address/,
      ],
      [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'grpc://1.2.3.4' }, /is not the URL of a collector, such as http/],
      [{ [ENDPOINT]: 'nonsense' }, /"nonsense" is not the URL/],
      [
        { [ENDPOINT]: 'http://127.0.0.1', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
        /"grpc" is not spoken here: http\/json/,
      ],
      [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /"zipkin" is no exporter that there is: otlp or none/],
      [{ [ENDPOINT]: 'http://127.0.0.1', OTEL_TRACES_SAMPLER: 'odd' }, /"odd" is no sampler that there is: always_on/],
      [
        { [ENDPOINT]: 'http://127.0.0.1', OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' },
        /OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1, not "2"/,
      ],
      [{ [ENDPOINT]: 'http://127.0.0.1', OTEL_EXPORTER_OTLP_HEADERS: 'secret' }, /HEADERS: must be pairs(?!.*secret)/],
      [{ [ENDPOINT]: 'http://127.0.0.1', OTEL_EXPORTER_OTLP_HEADERS: 'a=b%0d%0ac' }, /must be pairs/],
      [{ [ENDPOINT]: 'https://127.0.0.1', OTEL_EXPORTER_OTLP_CERTIFICATE: '/nowhere/ca' }, /cannot read \/nowhere\/ca/],
    ] as const) {
      assert.throws(
        () => readTracesConfig(env),
        (error) => error instanceof TracesFault && message.test(error.message),
        JSON.stringify(env),
      )
    }
  })
})
