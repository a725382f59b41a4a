/**
 * The promises of `docs/security.md`, which `npm run promises` makes its table of: what is promised, by what figure, and which tests hold
 * us to it. `npm test` fails unless each of them has run and is green.
 */

export interface PromiseTest {
  /** From the root of the project. */
  readonly file: string
  /** As it is written there; `*` stands for what a template inserts, and where it stands alone for all tests of the file. */
  readonly title: string
}

export interface KeptPromise {
  readonly promise: string
  readonly figure: string
  /** What `npm test` runs of it where that is less than the figure, how to run all, and where the test asks for something else. */
  readonly measured?: string
  readonly tests: readonly PromiseTest[]
}

const LEAKS = 'test/leaks'
const HEALTH = 'src/health'
const IN_TIME = 'test/bad-inputs/bad-inputs-in-time.test.ts'

export const PROMISES: readonly KeptPromise[] = [
  {
    promise: '**Fail closed**: no packet about a target leaves except through a Tor worker',
    figure: '0 packets, 0 DNS queries in 10,000 requests under faults',
    measured: '600 requests by the API, 900 by the ports; `LEAK_REQUESTS=10000` for all',
    tests: [
      ...titles(`${LEAKS}/faults.test.ts`, [
        'L5, L7: * requests while workers are killed, frozen and cut off: nothing goes around Tor',
        'L5: with no worker left, every request is refused, and none goes out',
      ]),
      ...titles(`${LEAKS}/egress.test.ts`, ['L5, L44: it holds a service that goes directly to whatever it is told']),
      ...titles(`${LEAKS}/names.test.ts`, [
        'L9: an IPv6 address and a name without an IPv4 address take no way around Tor',
        'L10: what a site says of other protocols is not followed, and nothing asks for it',
      ]),
      ...titles('test/openwrt/box-leaks.test.ts', [
        'nothing leaks while tunnels, routes, firewalls and the helper are lost and come back',
      ]),
    ],
  },
  {
    promise: '**No local DNS**, trailing-dot onions included',
    figure: '0 names asked here, 0 onion names asked of exits, of 10,000',
    measured: '300 names by every way here, and each request of promise 1',
    tests: [
      ...titles(`${LEAKS}/names.test.ts`, [
        'L1: 200 names by http and https are asked of exits, once each, and of nobody here',
        'L3: an onion address is the same with a trailing dot, in capitals and behind a redirect, and no exit hears of it',
        'L4: a name that looks like an onion is an onion, a clearnet name or refused, and nothing in between',
        'L6: an environment * changes no way',
      ]),
      ...titles(`${LEAKS}/ports.test.ts`, [
        'L1: 100 names by HTTP, CONNECT and SOCKS are asked of exits, once each, and of nobody here',
        'L3: an onion address with a trailing dot or in capitals is an onion by every port',
      ]),
    ],
  },
  {
    promise: '**Sessions never share** a circuit, connection, TLS session, cookie or cache',
    figure: '0 shared in 1,000 interleavings × 50 identities',
    measured: '20 interleavings; `LEAK_INTERLEAVINGS=1000` for all',
    tests: [
      ...titles(`${LEAKS}/isolation.test.ts`, [
        'L15, L16, L19, L20, L21: * interleavings of * identities share nothing',
        'L15: identities of all kinds at one target at once have circuits and connections of their own',
        'L17: two hosts of one certificate have a connection each, and nobody speaks HTTP/2',
        'L18: no handshake has early data, a ticket or a session of an earlier one',
      ]),
      ...titles(`${LEAKS}/ports.test.ts`, [
        'L15, L16: * identities by user name, through every port at once, share nothing',
      ]),
      ...titles('src/domain/identity.test.ts', ['*']),
    ],
  },
  {
    promise: '**No circuit storm**; a budget of circuits for the whole pool',
    figure: 'a bad request gets 15 circuits at most; new identities 2 a second and guard',
    measured: 'the first plan was 11 circuits, 1 a second: legs of Conflux sets count, and a guard allows 3 a second',
    tests: [
      ...titles('test/contracts/driver-care-contract.ts', [
        'stops a storm of circuits for a target that no exit takes, and goes on working',
        'takes many new identities at once for no storm',
      ]),
      ...titles('src/workers/storm-fuse.test.ts', [
        'names the stream for which Tor builds a sixth circuit',
        'lets no stream have a circuit too many, and names nothing but streams that wait, once each',
      ]),
      ...titles('src/workers/circuit-budget.test.ts', [
        'lets no more circuits pass than the bucket holds and gets, whoever asks and whatever guards they take',
      ]),
      ...titles('test/integration/circuits.test.ts', [
        'are never more than the budget, and who is over it is told when to come again',
      ]),
      ...titles('test/integration/exit-rules.test.ts', [
        'builds few circuits to an exit that refuses the port, or is gone, and takes another where one will do',
      ]),
    ],
  },
  {
    promise: '**Sticky means sticky**: the same exit until it is rotated or lost, and loss is said aloud',
    figure: '0 silent changes in 100 sessions, over several times `MaxCircuitDirtiness`',
    measured: '30 requests a session in half a minute, `MaxCircuitDirtiness` 10 s',
    tests: titles(`${LEAKS}/sessions.test.ts`, [
      'L29: * sticky sessions × * requests never change their exit in silence',
      'L30: a session whose worker is lost fails, or says that it has moved',
    ]),
  },
  {
    promise: '**A crash is detected**',
    figure: 'out of rotation in 250 ms, p99 of 100 kills',
    measured: '20 kills; `PROMISE_KILLS=100` for all',
    tests: [
      ...titles('test/integration/promises.test.ts', [
        'are taken out of rotation within 250 ms of a crash, and are back within 30 s: * kills',
      ]),
      ...titles('test/contracts/driver-contract.ts', ['tells of a crash once, at once, and can be started again']),
    ],
  },
  {
    promise: '**A freeze and a black hole are detected**',
    figure: 'a freeze in 4 s, a black hole in 12 s, p99, loaded or idle',
    measured:
      '2 of each, idle and loaded, with half a second to spare for a busy machine; `PROMISE_FAULTS=20` for more. Simulated, exactly: at every moment of a check interval',
    tests: [
      ...titles('test/integration/promises.test.ts', [
        'are taken out of rotation within 4 s of a freeze and 12 s of a black hole: *, * of each',
      ]),
      ...titles(`${HEALTH}/detection.test.ts`, [
        'suspects a worker whose relays are unreachable within 12 s, whenever that happens, and no other',
        'takes a frozen worker out of rotation within 3 s and gives it up within 4 s, whenever that happens',
      ]),
    ],
  },
  {
    promise:
      "**A worker's death is not the caller's problem**, where a request may be repeated and belongs to no session",
    figure: '≥ 99.9 % answered, p99 ≤ 3 s more, at 50 requests a second with a kill every 20 s for 10 min',
    measured: '30 s with three kills, of 4 workers; `PROMISE_LOAD_S=600` for all',
    tests: [
      ...titles('test/integration/promises.test.ts', [
        "are nobody's problem: * requests a second for * s while one after the other is killed",
      ]),
      ...titles('test/integration/heal.test.ts', [
        'loses no request when workers are killed, frozen and cut off, and has them back',
      ]),
      ...titles('test/openwrt/box-faults.test.ts', ['lose no request, tell of each fault, and are well again']),
    ],
  },
  {
    promise: '**No false restarts** for a cause that all workers share, or a check that fails',
    figure: '0 restarts and reboots in 24 simulated hours of outages',
    measured: 'simulated; an hour on real Tors is not part of any run',
    tests: [
      ...titles(`${HEALTH}/day.test.ts`, ['restarts and reboots nothing in 24 hours of outages that are not its own']),
      ...titles(`${HEALTH}/no-harm.test.ts`, [
        'holds against nobody what fails for all, says so, and is well as soon as it works again',
        'restarts nothing when the machine is so busy that no worker answers',
        'does not restart workers that cannot bootstrap because the uplink is down from the start',
      ]),
    ],
  },
  {
    promise: '**Self-repair is bounded**: back-off, caps, reboot limits, quarantine',
    figure: 'invariants hold in 100,000 histories; ≤ 1 reboot an hour and worker',
    tests: [
      ...titles(`${HEALTH}/invariants.test.ts`, ['keep their invariants through 100000 random histories']),
      ...titles(`${HEALTH}/machine.test.ts`, ['keeps its invariants through 50000 random histories']),
      ...titles(`${HEALTH}/no-harm.test.ts`, [
        'reboots a worker once an hour and three times a day, and then says that it is quarantined',
        'heals no more than half of the pool at once',
      ]),
    ],
  },
  {
    promise: '**Recovery works** end to end',
    figure: 'healthy again in 30 s, p95, on this machine; boxes by the limit of each fault',
    measured: '20 kills. Boxes: 17 faults, each with a limit of its own, some of which only the end of the fault ends',
    tests: [
      ...titles('test/integration/promises.test.ts', [
        'are taken out of rotation within 250 ms of a crash, and are back within 30 s: * kills',
      ]),
      ...titles('test/openwrt/box-faults.test.ts', [
        'lose no request, tell of each fault, and are well again',
        'reboot one that nothing else helps, once, and see that it did',
      ]),
    ],
  },
  {
    promise: '**Rotation is honest**: success is told only after its effect',
    figure: '100 % of answers follow the effect; 0 requests on an old circuit after one',
    tests: titles(`${LEAKS}/sessions.test.ts`, [
      'L26: no connection and no circuit survives a rotation, not even of requests that are under way',
      'L27: an order for new circuits is answered when it has taken effect, also the second within ten seconds',
      'L28: after each of * rotations the exit that is told is the one that the target sees',
    ]),
  },
  {
    promise: '**No secrets and no targets** in logs, metrics and errors',
    figure: '0 planted words found, on the way to every problem, at each level of the log',
    tests: [
      ...titles('test/secrets/secrets.test.ts', [
        'is there after every problem but those that are provoked elsewhere',
        'has no planted word and no key: the log, the store, all files, metrics, events, and what others are told',
        'tells nobody a secret of its own in a problem, nor of this machine',
      ]),
      ...titles(`${LEAKS}/secrets.test.ts`, [
        'L37: log, store, metrics, events and the views of the API hold no target, key, header or body',
        'L38: what Tor says holds no onion address and no target, and nobody can ask it to be less safe',
        'L39: what control ports tell of identities and targets is not kept',
        'L45: no problem tells of the paths, sockets, processes or addresses of this machine',
      ]),
      ...titles(`${LEAKS}/ports.test.ts`, [
        'L37, L39, L45: ports leave nothing of targets, names and passwords in what is written, whatever goes wrong',
      ]),
      ...titles('src/lib/log.test.ts', [
        'has of an error where it came from and not what it says',
        'lets no text from outside break a line or steer a terminal, as *',
      ]),
      ...titles('src/lib/crash.test.ts', [
        'a process ends without telling what was in its hands when * and nobody cares',
      ]),
      ...titles('src/events/request-log.test.ts', [
        'hashes with another key each day (UTC) and in each process, so that nobody can join days or undo it',
      ]),
    ],
  },
  {
    promise: '**Every bad input has a fixed answer**',
    figure: 'every row of the table; 0 crashes, 0 answers `internal` in 10^6 mutated requests on each port',
    measured: 'every row; fewer mutated requests, `node bench/fuzz.ts --count 1000000` for all',
    tests: [
      ...titles('test/bad-inputs/bad-inputs.test.ts', ['*']),
      ...titles(IN_TIME, ['*']),
      ...titles('src/api/bad-input.test.ts', ['*']),
      ...titles('src/proxy/fuzz.test.ts', ['*']),
    ],
  },
  {
    promise: '**Nothing private is reached**, and there is no way there even if the policy is wrong',
    figure: '0 connections to private addresses, also with the policy taken out',
    tests: [
      ...titles(`${LEAKS}/names.test.ts`, ['L44: addresses and names that are of no use on the internet reach no Tor']),
      ...titles(`${LEAKS}/ports.test.ts`, ['L44: what is of no use on the internet reaches no Tor by any port']),
      ...titles(`${LEAKS}/egress.test.ts`, [
        'L5, L44: it holds a service that goes directly to whatever it is told',
        'refuses connections, datagrams and questions at once, and lets nothing out',
      ]),
      ...titles('test/bad-inputs/bad-inputs.test.ts', ['*']),
      ...titles('src/fetch/target-policy.test.ts', ['*']),
    ],
  },
  {
    promise: '**Retries are budgeted and safe**',
    figure: '≤ 3 tries, ≤ 20 % more load in a full outage, a POST never twice',
    tests: [
      ...titles('src/fetch/retry-policy.test.ts', [
        'ends, whatever goes wrong',
        'repeats a request that may have arrived only when its method is idempotent',
      ]),
      ...titles('src/fetch/retry-budget.test.ts', [
        'adds at most a fifth to the load in a full outage, however it shows',
        'lets a fifth of the active and recent requests be repeated, each part spent once',
      ]),
      ...titles(`${LEAKS}/sessions.test.ts`, [
        'L36: a target sees no more of a request than its attempts tell, and a POST once',
      ]),
      ...titles(`${LEAKS}/ports.test.ts`, ['L36: a POST that a target does not answer is sent once']),
    ],
  },
  {
    promise: '**Bodies and headers are bounded**',
    figure: '≤ 32 MiB more memory for a bomb; slow clients are gone in 11 s; a client that leaves frees all in 100 ms',
    tests: [
      ...titles(IN_TIME, [
        '13 F a Content-Length that is too large',
        '13 F chunks without an end',
        '15 F a byte of a header every five seconds',
        '16 F a byte of a body every second',
        '54, 55 F bodies without an end and bombs leave no memory behind',
        '60 F the client leaves in the middle: the stream to the target ends, and the worker is free',
      ]),
      ...titles('test/integration/client-gone.test.ts', ['takes its stream with it, and frees its worker: *, *']),
      ...titles('src/fetch/response-body.test.ts', [
        'stops at a bomb, in little memory',
        'stops at an endless body',
        'counts maxBytes after decoding',
      ]),
      ...titles('src/fetch/bomb-memory.test.ts', ['takes less than 32 MiB of the process: *']),
      ...titles('src/api/slow-clients.test.ts', ['*']),
    ],
  },
  {
    promise: '**No header tells of who asks**; the default headers are one fixed neutral set',
    figure: 'byte-equal lists',
    tests: [
      ...titles(`${LEAKS}/headers.test.ts`, [
        'L31: headers of proxies and of ours are refused by the API, before any Tor hears of the request',
        'L32: the default headers are one fixed list, the same by http, https and onion, and in every mode',
        'L33: the API writes names in lower case and in a fixed order, whatever the caller did',
      ]),
      ...titles(`${LEAKS}/ports.test.ts`, [
        'L31: what a client tells a proxy does not reach the target, by any port',
        'L33: a tunnel carries what the client wrote byte by byte; plain http keeps its order and case',
      ]),
    ],
  },
  {
    promise: '**Authentication on everything**, in constant time; Host and Origin are checked',
    figure:
      'no route without a key but `/healthz` and pages that are the same everywhere; timings of keys cannot be told apart',
    tests: [
      ...titles('src/api/access.test.ts', [
        'is of all routes, and of no others',
        'lets nobody without a key into any route that is not public, nor does the key of HEAD differ from that of GET',
        'refuses a key of every other scope, and says which one it takes',
      ]),
      ...titles('src/auth/timing.test.ts', ['*']),
      ...titles('src/api/authenticate.test.ts', [
        'is refused by the same words and after the same look, whatever is wrong with it',
        'is refused in the URL, be it right or not, and appears nowhere',
      ]),
      ...titles('src/api/caller-rules.test.ts', ['*']),
      ...titles('src/api/browser-safety.test.ts', ['*']),
      ...titles('src/config/exposure.test.ts', ['*']),
      ...titles('test/integration/keys.test.ts', [
        'open what their scopes say, on the API and on both proxy ports',
        'end at once when they are revoked, with the tunnels and fetches that stand',
        'share nothing: what two of them call by the same name are two sessions',
      ]),
    ],
  },
  {
    promise: '**Host keys are pinned, and nothing reaches a shell** that varies',
    figure: '0 commands to a box with another key',
    tests: [
      ...titles('src/ssh/session-faults.test.ts', [
        'sends nothing to a box with another host key, and does not keep asking it',
        'offers its key, and no other way in',
      ]),
      ...titles('src/ssh/command.test.ts', ['takes no values']),
      ...titles('src/ssh/destination.test.ts', ['refuses *', 'refuses a user, a port and whatever could be an option']),
      ...titles('src/ssh/script.test.ts', ['refuses a value that is no single line, and runs nothing']),
      ...titles(IN_TIME, ['89 * is no host', '90 another host key: nothing is sent, and the worker is untrusted']),
    ],
  },
  {
    promise: '**The control client is total**: any bytes become events, replies or a ProtocolError',
    figure: '0 uncaught in 10^6 damaged streams; a line ≤ 1 MiB, a message ≤ 16 MiB',
    measured:
      '100,000; `PROMISE_DAMAGED_STREAMS=1000000` for all. A list of relays is larger than the 1 MiB that was planned. One version of tor',
    tests: [
      ...titles('src/tor/control/reply-parser.test.ts', [
        'is total: * damaged streams give messages or a ProtocolError, whatever the pieces',
        'keeps no line and no message beyond its limits, complete or not',
        'gives the same replies and the same events however the two are mixed',
      ]),
      ...titles('src/tor/control/connection.test.ts', [
        'closes on a reply to no command and on what is no reply',
        'refuses more commands than may wait',
      ]),
    ],
  },
  {
    promise: '**A reconnect loses nothing**: what is known of a Tor is what a fresh look at it shows',
    figure: 'equal within 1 s of having the control port back',
    tests: [
      ...titles('src/workers/circuit-book.test.ts', [
        'knows after a reconnect what it would know if it had never been away, whenever that is',
      ]),
      ...titles('test/integration/external-driver.test.ts', [
        'knows within a second of having its control port back what Tor itself says of its circuits',
        'serves by SOCKS alone while the control port is lost, and has it back by itself',
      ]),
    ],
  },
  {
    promise: '**A Tor that is set up wrongly is refused**',
    figure: '100 % of bad lines of a torrc, with the reason; no request to a Tor that does not isolate',
    measured:
      'an old version, a clock that is wrong and a network without exits are told by `cbtor doctor`, not refused',
    tests: [
      ...titles('src/tor/torrc/torrc.test.ts', ['may not be *']),
      ...titles(`${LEAKS}/isolation.test.ts`, ['L23: a Tor that does not keep identities apart gets no request']),
      ...titles('test/integration/external-driver.test.ts', [
        'does not start on a SOCKS port that does not keep identities apart',
        'does not start on two ports of two Tors',
      ]),
      ...titles('test/contracts/driver-care-contract.ts', [
        'refuses streams once it no longer keeps identities apart, until it is restarted',
      ]),
      ...titles('test/openwrt/box-isolation.test.ts', [
        '60 identities have 60 circuits, an address each, and keep their exits',
      ]),
      ...titles('src/doctor/judges.test.ts', [
        'are told by their versions',
        'are wrong when they were never set, or Tor sees a skew',
      ]),
    ],
  },
  {
    promise: '**Overload is refused early and fairly**',
    figure: '429 and 503 in ≤ 50 ms, p99, at ten times the load; ≥ 99 % for other keys',
    measured:
      'who is refused and who is served, for 4 s each; the 50 ms by `node bench/overload.ts` alone, as tests run beside each other',
    tests: [
      ...titles('test/integration/overload.test.ts', ['*']),
      ...titles('src/limits/waiting-lines.test.ts', ['*']),
      ...titles('src/limits/admission.test.ts', ['*']),
      ...titles('src/service-order.test.ts', ['*']),
    ],
  },
  {
    promise: '**Errors tell the truth**: whose fault, whether to repeat, what was tried',
    figure: 'all 16 replies of Tor, F0 to F7 included',
    measured: 'all; what no private network makes (F1, F3 and F7 among it) by a port that plays Tor',
    tests: [
      ...titles('test/integration/errors.test.ts', ['*']),
      ...titles('src/workers/tor-problems.test.ts', [
        "gives every reply of Tor the problem of the design's table",
        'knows an answer to every byte',
        'says whose fault it is',
      ]),
      ...titles('test/integration/service.test.ts', ['says whose fault it is']),
    ],
  },
]

function titles(file: string, all: readonly string[]): readonly PromiseTest[] {
  return all.map((title) => ({ file, title }))
}
