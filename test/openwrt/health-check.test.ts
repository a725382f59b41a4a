import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TorNetwork } from '../../src/testnet/network.ts'
import { conf, HealthBox, QUICK } from './health-check/box.ts'
import { assertRun, grownBox, offlineBox, run } from './health-check/runs.ts'

const SITES = '/etc/tor/onion-test-sites.txt'
const LOG = '/var/log/tor-health.log'
/** An address that no private network has. */
const NOWHERE = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'

// Boxes spend their time waiting, and each has namespaces of its own.
describe('the health check of a box', { concurrency: 6 }, () => {
  // First, as it takes longest.
  it('heals a real Tor, of which it knows no more than of a scripted one', async () => {
    await using network = await TorNetwork.create({ isolation: 'namespace' })
    const good = `${new URL(network.urls.onion).hostname}\n`
    const settings = { ...QUICK, TEST_TIMEOUT: 4, NEWNYM_WAIT: 2, BOOTSTRAP_WAIT: 60 }
    await using box = await HealthBox.create({ network, sites: good, conf: conf(settings) })
    for (let runs = 0; (await box.status()).state !== 'HEALTHY'; runs++) {
      assert.ok(runs < 10, await box.log())
      await run(box)
    }

    // A site that is not there, until the script has asked for new circuits.
    await box.grown(5)
    await box.sh('sed -i s/BOOTSTRAP_WAIT=.*/BOOTSTRAP_WAIT=4/ /etc/cbtor/health.conf')
    await box.sh(`cp ${SITES} /etc/good; echo ${NOWHERE} >${SITES}`)
    const mended = box.sh(`until grep -q NEWNYM ${LOG}; do sleep 1; done; mv /etc/good ${SITES}`)
    await run(box)
    await mended
    assert.equal((await box.status()).state, 'HEALTHY', await box.log())
    assert.doesNotMatch(await box.log(), /RESTARTING/)

    const frozen = await box.torPid()
    await box.sh('sed -i s/BOOTSTRAP_WAIT=.*/BOOTSTRAP_WAIT=10/ /etc/cbtor/health.conf')
    await box.grown(10)
    await box.tor('freeze')
    await run(box)
    assert.equal((await box.status()).state, 'HEALTHY', await box.log())
    assert.match(await box.log(), /did not answer within 4 s\n.*takes no NEWNYM: it does not answer.*\n.*RESTARTING/)
    assert.notEqual(await box.torPid(), frozen)
  })

  it('is content when a site answers', async () => {
    await using box = await grownBox()
    await assertRun(
      box,
      `
      -: test answers
      HEALTHY: end`,
    )
    const status = await box.status()
    assert.match(status.reason ?? '', /^[a-z2-7]{56}\.onion answered$/)
    assert.equal(status.since, status.checked)
    assert.match(status.version ?? '', /^\d+\.\d+\.\d+$/)
    assert.ok(Math.abs(Number(status.checked) - Date.now() / 1000) < 30)
  })

  it('asks for new circuits when a site does not answer, and is content when that mends it', async () => {
    await using box = await grownBox({ plan: { tests: ['refuses', 'answers'] } })
    await assertRun(
      box,
      `
      -: test refuses
      DEGRADED: newnym
      DEGRADED: test answers
      HEALTHY: end`,
    )
  })

  it('restarts Tor when new circuits do not help', async () => {
    await using box = await grownBox({ plan: { tests: ['answers', 'closes', 'refuses', 'answers'] } })
    await run(box)
    const before = await box.torPid()
    await assertRun(
      box,
      `
      HEALTHY: test closes
      DEGRADED: newnym
      DEGRADED: test refuses
      RESTARTING: restart
      RESTARTING: test answers
      HEALTHY: end`,
    )
    assert.notEqual(await box.torPid(), before)
  })

  it('says that it is OFFLINE and stops Tor when a restart does not help either', async () => {
    await using box = await grownBox({ plan: { tests: ['answers', 'refuses', 'refuses', 'garbage'] } })
    await run(box)
    await assertRun(
      box,
      `
      HEALTHY: test refuses
      DEGRADED: newnym
      DEGRADED: test refuses
      RESTARTING: restart
      RESTARTING: test garbage
      OFFLINE: stop
      OFFLINE: end`,
    )
    assert.equal(await box.torPid(), null)
    assert.match((await box.status()).reason ?? '', /^Tor is stopped: \S+ gave an answer that is not HTTP$/)
    assert.match(
      await box.log(),
      /HEALTHY \(was UNKNOWN\)[\s\S]*DEGRADED[\s\S]*NEWNYM[\s\S]*RESTARTING[\s\S]*OFFLINE \(was RESTARTING\)/,
    )
  })

  it('restarts Tor at once when it takes no NEWNYM, as a retry would change nothing', async () => {
    await using box = await grownBox({ plan: { tests: ['silent', 'answers'], control: 'silent' } })
    await assertRun(
      box,
      `
      -: test silent
      RESTARTING: restart
      RESTARTING: test answers
      HEALTHY: end`,
    )
    assert.match(await box.log(), /Tor takes no NEWNYM: it does not answer on its control port/)
    await box.plan({ tests: ['refuses', 'answers'], control: 'refuses' })
    await box.grown()
    assert.match((await run(box)).join('\n'), /RESTARTING: restart/)
    assert.match(await box.log(), /Tor takes no NEWNYM: 515 Authentication failed/)
  })

  it('stays OFFLINE for RECOVERY_WAIT, then restarts Tor and tries anew', async () => {
    await using box = await offlineBox()
    const { since } = await box.status()
    await box.plan({ tests: ['refuses', 'answers'] })
    await assertRun(
      box,
      `
      OFFLINE: end`,
    )
    assert.equal((await box.status()).since, since)
    await box.backdate('since', 890)
    await assertRun(
      box,
      `
      OFFLINE: end`,
    )

    await box.backdate('since', 900)
    await assertRun(
      box,
      `
      RESTARTING: restart
      RESTARTING: test refuses
      OFFLINE: stop
      OFFLINE: end`,
    )
    assert.ok(Number((await box.status()).since) >= Number(since))
    await box.backdate('since', 900)
    await assertRun(
      box,
      `
      RESTARTING: restart
      RESTARTING: test answers
      HEALTHY: end`,
    )
  })

  it('starts Tor for a test from time to time while OFFLINE, and leaves it when that passes', async () => {
    await using box = await offlineBox()
    await box.backdate('tried', 180)
    const { since } = await box.status()
    await assertRun(
      box,
      `
      OFFLINE: start
      OFFLINE: test refuses
      OFFLINE: stop
      OFFLINE: end`,
    )
    assert.equal((await box.status()).since, since)
    await assertRun(
      box,
      `
      OFFLINE: end`,
    )

    await box.backdate('tried', 180)
    await box.plan({ tests: ['answers'] })
    await assertRun(
      box,
      `
      OFFLINE: start
      OFFLINE: test answers
      HEALTHY: end`,
    )
    assert.notEqual(await box.torPid(), null)
  })

  it('tests a Tor that somebody else has started while OFFLINE, and leaves it running', async () => {
    await using box = await offlineBox()
    await box.tor('start')
    await box.grown()
    await assertRun(
      box,
      `
      OFFLINE: test refuses
      OFFLINE: end`,
    )
    assert.match((await box.status()).reason ?? '', /Tor was started by somebody else, and is left running/)
    await box.plan({ tests: ['answers'] })
    await assertRun(
      box,
      `
      OFFLINE: test answers
      HEALTHY: end`,
    )
  })

  it('does not restart a Tor that works again when the time has come to try anew', async () => {
    await using box = await offlineBox()
    await box.tor('start')
    await box.plan({ tests: ['answers'] })
    await box.backdate('since', 900)
    await assertRun(
      box,
      `
      OFFLINE: test answers
      HEALTHY: end`,
    )
  })

  it('is not kept OFFLINE by a clock that was set back', async () => {
    await using box = await offlineBox()
    await box.backdate('since', -86_400)
    await box.plan({ tests: ['answers'] })
    assert.match((await run(box)).join('\n'), /RESTARTING: restart/)
    assert.equal((await box.status()).state, 'HEALTHY')
  })

  it('restarts a Tor that has ended and that procd has given up', async () => {
    await using box = await grownBox()
    await box.tor('crash')
    await assertRun(
      box,
      `
      RESTARTING: restart
      RESTARTING: test answers
      HEALTHY: end`,
    )
  })

  it('says so when Tor does not start', async () => {
    await using box = await grownBox({ plan: { starts: false } })
    await box.tor('crash')
    await assertRun(
      box,
      `
      RESTARTING: restart
      OFFLINE: stop
      OFFLINE: end`,
    )
    assert.match((await box.status()).reason ?? '', /Tor's SOCKS port does not answer/)
    assert.match(await box.log(), /there is no new process: see tor --verify-config/)
  })

  it('does not judge a Tor that has just been started', async () => {
    await using box = await HealthBox.create({
      conf: conf({ ...QUICK, BOOTSTRAP_WAIT: 90 }),
      plan: { tests: ['refuses'] },
    })
    await assertRun(
      box,
      `
      -: test refuses
      STARTING: end`,
    )
    assert.match((await box.status()).reason ?? '', /; Tor has been up for \d s$/)
  })

  it('gives Tor its time after a restart, too', async () => {
    const tests = ['refuses', 'refuses', 'refuses', 'refuses', 'answers'] as const
    await using box = await HealthBox.create({ conf: conf({ ...QUICK, BOOTSTRAP_WAIT: 15 }), plan: { tests } })
    await box.grown(16)
    await assertRun(
      box,
      `
      -: test refuses
      DEGRADED: newnym
      DEGRADED: test refuses
      RESTARTING: restart
      RESTARTING: test refuses
      RESTARTING: test refuses
      RESTARTING: test answers
      HEALTHY: end`,
    )
  })
})
