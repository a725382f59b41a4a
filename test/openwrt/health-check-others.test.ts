import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { conf, HealthBox, QUICK } from './health-check/box.ts'
import { assertRun, grownBox, offlineBox, run } from './health-check/runs.ts'

// Boxes spend their time waiting, and each has namespaces of its own.
describe('the health check of a box among others', { concurrency: 6 }, () => {
  it('leaves a Tor alone that somebody else restarts or stops meanwhile', async () => {
    await using box = await grownBox({ plan: { tests: ['silent'] } })
    for (const last of ['start', 'stop'] as const) {
      const first = run(box)
      await box.sh('sleep 1')
      await box.tor('stop')
      if (last === 'start') await box.tor('start')
      assert.match((await first).join('\n'), /^.*: test silent\nSTARTING: end$/)
    }
    await assertRun(box, 'STOPPED: end')
  })

  it('leaves a Tor that somebody else has stopped as it is', async () => {
    await using box = await grownBox()
    await box.tor('stop')
    await assertRun(
      box,
      `
      STOPPED: end`,
    )
    await box.tor('start')
    await assertRun(
      box,
      `
      STOPPED: test answers
      HEALTHY: end`,
    )
  })

  it('does not start a Tor that is disabled, even while OFFLINE', async () => {
    await using box = await offlineBox()
    await box.backdate('tried', 180)
    await box.plan({ enabled: false })
    await assertRun(
      box,
      `
      STOPPED: end`,
    )
  })

  it('runs once at a time', async () => {
    await using box = await grownBox({ plan: { tests: ['silent', 'answers'] } })
    const order: string[] = []
    const first = assertRun(
      box,
      `
      -: test silent
      DEGRADED: newnym
      DEGRADED: test answers
      HEALTHY: end`,
    )
    const second = box.sh('sleep 1; /usr/local/bin/tor-health-check.sh; echo $?')
    await Promise.all([
      first.then(() => order.push('first')),
      second.then((code) => order.push(`second: ${code.trim()}`)),
    ])
    assert.deepEqual(order, ['second: 0', 'first'])
  })

  it('leaves no lock and no process behind when it is killed', async () => {
    await using box = await grownBox({ plan: { tests: ['silent', 'answers'] } })
    await box.sh('/usr/local/bin/tor-health-check.sh >/dev/null 2>&1 & sleep 1; kill -9 $!')
    assert.notEqual(await box.sh('pidof nc'), '') // in the midst of its test
    await assertRun(
      box,
      `
      -: test answers
      HEALTHY: end`,
    )
    await box.sh('i=0; while pidof nc && [ $i -lt 10 ]; do sleep 1; i=$((i + 1)); done')
    assert.equal(await box.sh('pidof nc'), '')
  })

  it('keeps the old status and touches nothing when /tmp is full', async () => {
    await using box = await grownBox({ plan: { tests: ['answers', 'answers', 'refuses'] } })
    await run(box)
    await box.backdate('since', 300)
    const before = await box.sh('cat /var/run/tor/health-status')
    const pid = await box.torPid()
    await box.sh('dd if=/dev/urandom of=/tmp/full bs=4096 2>/dev/null')
    await assertRun(
      box,
      `
      HEALTHY: test answers
      HEALTHY: end`,
    )
    await assertRun(
      box,
      `
      HEALTHY: test refuses
      HEALTHY: newnym
      HEALTHY: test refuses
      HEALTHY: end`,
    )
    assert.equal(await box.sh('cat /var/run/tor/health-status'), before)
    assert.equal(await box.torPid(), pid)
    await box.sh('rm /tmp/full')
    await box.plan({ tests: ['answers'] })
    await run(box)
    assert.notEqual(await box.sh('cat /var/run/tor/health-status'), before)
  })

  it('keeps the default of what makes no sense in health.conf, and says so once', async () => {
    const garbage = [
      '  NEWNYM_WAIT = 2  # fine',
      'RESTART_WAIT=1\r',
      'BOOTSTRAP_WAIT=1',
      'TEST_TIMEOUT=soon',
      'RECOVERY_WAIT=010',
      'OFFLINE_CHECK=$(reboot)',
      'LOG_BYTES=-1',
      'PATH=/tmp',
      'NEWNYM_WAIT',
      '\u0000\u0001\u00ff=;reboot',
      'RESTART_WAIT=99999999999999999999',
    ]
    await using box = await grownBox({ conf: garbage.join('\n'), plan: { tests: ['refuses', 'answers'] } })
    await run(box)
    assert.equal((await box.status()).state, 'HEALTHY')
    await run(box)
    const told = (await box.log()).split('\n').filter((line) => line.includes('/etc/cbtor/health.conf'))
    assert.equal(told.length, 1)
    for (const name of [
      'TEST_TIMEOUT=soon',
      'RECOVERY_WAIT=010',
      'OFFLINE_CHECK=$(reboot)',
      'LOG_BYTES=-1',
      'PATH=/tmp',
    ])
      assert.ok(told[0]?.includes(`"${name}"`), name)
    assert.ok(!told[0]?.includes('NEWNYM_WAIT=2'))
  })

  it('goes without health.conf', async () => {
    await using box = await HealthBox.create()
    await box.sh('rm /etc/cbtor/health.conf')
    await assertRun(
      box,
      `
      -: test answers
      HEALTHY: end`,
    )
  })

  for (const hasCurl of [false, true]) {
    it(`tells apart what may come instead of a page ${hasCurl ? 'with' : 'without'} curl`, async () => {
      await using box = await HealthBox.create({ hasCurl, conf: conf({ ...QUICK, BOOTSTRAP_WAIT: 90 }) })
      const reasons: string[] = []
      for (const outcome of ['answers', 'refuses', 'silent', 'closes', 'garbage'] as const) {
        await box.plan({ tests: [outcome] })
        await run(box)
        const { reason = '' } = await box.status()
        reasons.push(reason.replace(/[a-z2-7]{56}\.onion/, 'SITE').replace(/; Tor has.*/, ''))
      }
      assert.deepEqual(reasons, [
        'SITE answered',
        'Tor did not reach SITE',
        'SITE did not answer within 3 s',
        hasCurl ? 'Tor did not reach SITE' : "Tor's SOCKS port does not answer",
        hasCurl ? "SITE gave no answer (curl's code 1)" : 'SITE gave an answer that is not HTTP',
      ])
    })
  }

  it('asks another site after one that did not answer', async () => {
    const sites = '# two\nhttp://one.onion/\n\n  two.onion # the other\n$(reboot)\n-;x\n'
    await using box = await grownBox({ sites, plan: { tests: ['refuses'] } })
    await run(box)
    const asked = [...(await box.log()).matchAll(/did not reach (\w+)\.onion/g)].map(([, name]) => name)
    assert.deepEqual(asked.slice(0, 2).sort(), ['one', 'two'])
  })

  it('does nothing to Tor when there is no site to ask', async () => {
    await using box = await grownBox({ sites: '# none\n' })
    await assertRun(
      box,
      `
      DEGRADED: end`,
    )
    assert.equal((await box.status()).reason, 'There is no site to ask in /etc/tor/onion-test-sites.txt')
  })

  it('puts its log aside when that is large', async () => {
    await using box = await HealthBox.create({ conf: conf({ ...QUICK, LOG_BYTES: 2048 }) })
    await box.sh(
      'i=0; while [ $i -lt 40 ]; do echo "an older line of the log, number $i"; i=$((i + 1)); done >/var/log/tor-health.log',
    )
    const old = await box.sh('wc -c </var/log/tor-health.log')
    await run(box)
    assert.equal((await box.log()).split('\n').length, 41 + 1)
    await box.sh(
      'cat /var/log/tor-health.log /var/log/tor-health.log >/tmp/two; cat /tmp/two >/var/log/tor-health.log; rm /tmp/two',
    )
    await box.plan({ tests: ['refuses'] })
    await run(box)
    assert.match(await box.log(), /^\S+ (STARTING|DEGRADED)/)
    assert.ok(Number(await box.sh('wc -c </var/log/tor-health.log.1')) > 2 * Number(old))
  })
})
