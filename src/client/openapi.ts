// Made from the service's own /openapi.json by test/client/write-types.ts: change the schemas of the API instead.

/** What `POST /api/v1/keys` answers with. */
export type CreatedKey = {
  /** The key between its first and second `_`: no secret. */
  id: string
  name: string
  scopes: ('fetch' | 'proxy' | 'sessions' | 'workers:read' | 'workers:write' | 'admin')[]
  /** UTC, ISO 8601. */
  created_at: string
  expires_at: string | null
  /** The hour in which it was used last. */
  last_used_at: string | null
  limits: {
    rate: number | null
    burst: number | null
    concurrent: number | null
    bytes_per_day: number | null
  }
  targets: {
    allow: string[]
    deny: string[]
  }
  /** The key itself. It is told here and never again. */
  key: string
}

/** What `POST /api/v1/workers/drain` takes. */
export type DrainInput = {
  /** A worker: its id (`tor01`) or its number (`1`). */
  worker: string | number
  /** Drain it even if no other worker receives traffic. */
  force?: boolean | undefined
}

/** What `POST /api/v1/workers/enable` takes. */
export type EnableInput = {
  /** A worker: its id (`tor01`) or its number (`1`). */
  worker: string | number
}

/** What `GET /api/v1/endpoints` answers with. */
export type Endpoints = {
  endpoints: {
    name: string
    url: string
    kind: 'clearnet' | 'onion'
    attempts: number
    successes: number
    failures: number
    last_error: string | null
    last_success_at: string | null
    /** Percentiles of successful checks. Null when there was none. */
    latency_ms: {
      p50: number
      p95: number
    } | null
    workers: {
      worker: string
      attempts: number
      successes: number
      failures: number
      last_error: string | null
      last_success_at: string | null
      /** Percentiles of successful checks. Null when there was none. */
      latency_ms: {
        p50: number
        p95: number
      } | null
    }[]
    /** The checks of the last half hour in steps of 30 s, the oldest first; none where nothing was checked. */
    series: {
      /** UTC, ISO 8601. */
      at: string
      checks: number
      failures: number
      /** Of the checks that passed. Null when none did. */
      mean_ms: number | null
    }[]
  }[]
}

/** A part of `Events`. */
export type Event = {
  /** Higher than that of every earlier event, also across restarts of the service. */
  id: number
  /** UTC, ISO 8601. */
  at: string
  type: 'service_started' | 'service_stopping' | 'health_changed' | 'desired_changed' | 'mode_changed' | 'recovery_started' | 'recovery_step_ended' | 'recovery_ended' | 'tor_restarted' | 'reboot_ordered' | 'reboot_refused' | 'worker_untrusted' | 'worker_trusted' | 'worker_quarantined' | 'worker_released' | 'uplink_suspected' | 'uplink_cleared' | 'circuits_renewed' | 'session_moved' | 'session_rotated' | 'session_ended' | 'storm_stopped' | 'worker_added' | 'worker_removed' | 'config_reloaded' | 'config_refused' | 'replica_joined' | 'replica_left' | 'problem_opened' | 'problem_closed'
  severity: 'error' | 'warn' | 'info'
  /** Null when it is not of one worker. */
  worker: string | null
  /** The gateway that it happened at, where several share the pool. Null: this one. */
  replica: string | null
  /** A sentence for people. */
  text: string
  /** The fields of this type of event. */
  details: Record<string, unknown>
}

/** What `GET /api/v1/events` answers with. */
export type Events = {
  /** The newest last. */
  events: Event[]
  /** The `since_id` to go on with. */
  next_since_id: number
  /** Whether events after `since_id` are missing because they are no longer kept. */
  lost: boolean
}

/** A part of `Problem` or the like. */
export type FailureReceipt = {
  /** The last worker that was tried. */
  worker: string | null
  /** Of the last connection that stood; null when none did. */
  route: 'socks' | 'transparent' | null
  /** What the circuits of the request were shared by. */
  identity: 'destination' | 'request' | 'none' | 'sticky'
  /** The exit relay, as Tor tells it. Null for an onion service, which has none, and where nobody tells. */
  exit: {
    nickname: string
    /** 40 upper-case hexadecimal digits. */
    fingerprint: string
    /** The address of the relay in the consensus; it may send from another one. */
    address: string | null
    /** Where that address is, by Tor's own GeoIP database: two lower-case letters. Null when that is not known. */
    country: string | null
  } | null
  timing: {
    /** Choosing a worker. */
    queue_ms: number
    connect_ms?: number
    tls_ms?: number
    first_byte_ms?: number
    body_ms?: number
    /** Everything: other attempts and redirects included. */
    total_ms: number
  }
  bytes: {
    /** From the workers: TLS, headers, redirects and other attempts included. */
    received: number
    /** To the workers, likewise. */
    sent: number
  }
}

/** What `POST /api/v1/fetch` answers with. */
export type FetchAnswer = {
  /** Where the answer came from, after redirects. */
  url: string
  /** The target's status. */
  status: number
  status_text: string
  /** Names in lower case. Several values of a name are joined by ", "; `set-cookie` is always a list. */
  headers: Record<string, string | string[]>
  body: string
  body_encoding: 'text' | 'base64'
  /** The worker that delivered. */
  worker: string
  receipt: Receipt
}

/** What `POST /api/v1/fetch` takes. */
export type FetchInput = {
  /** An http or https URL: clearnet or `.onion`. */
  url: string
  /** The HTTP method; made upper-case. */
  method?: string | undefined
  /** Headers to send, each with a value or a list of values. They replace the neutral ones of that name; null leaves a neutral one out. Hop-by-hop and forwarding headers are refused. */
  headers?: Record<string, string | readonly string[] | null> | undefined
  /** What to send; not with GET or HEAD. */
  body?: string | undefined
  /** How `body` is written: as UTF-8 text or base64. */
  body_encoding?: 'text' | 'base64' | undefined
  /** The whole budget in milliseconds: waiting, connecting, redirects, other workers and the body. */
  timeout_ms?: number | undefined
  /** The largest body to accept, counted after decompression. A larger one is an error. */
  max_bytes?: number | undefined
  /** Cut a body that is larger than `max_bytes`, and say so in the receipt, instead of failing. */
  allow_truncated?: boolean | undefined
  /** Tell all relays of the circuit in the receipt, and not the exit alone. */
  circuit_path?: boolean | undefined
  /** Follow redirects, inside the same identity. */
  follow_redirects?: boolean | undefined
  max_redirects?: number | undefined
  /** Follow a redirect from https to http. */
  allow_downgrade?: boolean | undefined
  /** Follow a redirect from an onion service to the clearnet. */
  allow_onion_to_clearnet?: boolean | undefined
  /** How to choose a worker for this request, instead of by the pool's mode. */
  mode?: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover' | undefined
  /** Names a session that keeps its worker, circuit, exit address and connections. Implies the mode `sticky`. Tor never sees the key. */
  sticky_key?: string | undefined
  /** What becomes of the session when its worker is lost: `migrate` (the default) takes another worker and says so by `session_moved`; `fail` answers `session_worker_lost`. */
  on_loss?: 'migrate' | 'fail' | undefined
  /** How many seconds the session may go unused before it ends, instead of as many as the service is configured for. */
  session_ttl_s?: number | undefined
  /** Leave Tor by an exit in this country only, by Tor's own GeoIP database: two lower-case letters. Who leaves by one of few exits is easier to recognise, so there must be enough of them that take the port, or it is `no_exit_for_country_port`. Not for onion services and IPv6 addresses. */
  country?: string | undefined
  /** Leave Tor by no exit in these countries, nor by one of which nobody knows where it is. */
  exclude_countries?: readonly string[] | undefined
  /** The `sticky_key` of another session, whose exit this request is not to leave by, nor by another of that relay's family or address. That session must have been used before. */
  distinct_from?: string | undefined
  /** Ask a second worker, too, when the first takes long; the first answer wins. For GET and HEAD without `sticky_key` or `worker`. Shows the URL to two exits. */
  hedge?: boolean | undefined
  /** What shares circuits and connections when there is no `sticky_key`. `destination` (the default): requests to the same host; `request`: nothing, fresh circuits for this request; `none`: every such request. */
  isolation?: 'destination' | 'request' | 'none' | undefined
  /** Use this worker only, by id or number; no other is tried. */
  worker?: string | number | undefined
  /** How to write the body of the answer. `auto`: text when its type is textual and its charset decodes without an error, else base64; `text`: always text, faulty bytes replaced, for `max_bytes` up to 67108864. */
  response_encoding?: 'auto' | 'text' | 'base64' | undefined
}

/** What `POST /api/v1/fetch/raw` takes. */
export type FetchRawInput = {
  /** An http or https URL: clearnet or `.onion`. */
  url: string
  /** The HTTP method; made upper-case. */
  method?: string | undefined
  /** Headers to send, each with a value or a list of values. They replace the neutral ones of that name; null leaves a neutral one out. Hop-by-hop and forwarding headers are refused. */
  headers?: Record<string, string | readonly string[] | null> | undefined
  /** What to send; not with GET or HEAD. */
  body?: string | undefined
  /** How `body` is written: as UTF-8 text or base64. */
  body_encoding?: 'text' | 'base64' | undefined
  /** How many milliseconds it may take to the first byte of the answer, other workers and redirects included; from then on how long any pause of the body may be. */
  timeout_ms?: number | undefined
  /** The largest body to pass on, counted as it is on the wire; any when left out. */
  max_bytes?: number | undefined
  /** End a body that is larger than `max_bytes` in order, with `CBTOR-Truncated: true`, instead of breaking it off. */
  allow_truncated?: boolean | undefined
  /** Tell all relays of the circuit in the receipt, and not the exit alone. */
  circuit_path?: boolean | undefined
  /** Follow redirects, inside the same identity. */
  follow_redirects?: boolean | undefined
  max_redirects?: number | undefined
  /** Follow a redirect from https to http. */
  allow_downgrade?: boolean | undefined
  /** Follow a redirect from an onion service to the clearnet. */
  allow_onion_to_clearnet?: boolean | undefined
  /** How to choose a worker for this request, instead of by the pool's mode. */
  mode?: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover' | undefined
  /** Names a session that keeps its worker, circuit, exit address and connections. Implies the mode `sticky`. Tor never sees the key. */
  sticky_key?: string | undefined
  /** What becomes of the session when its worker is lost: `migrate` (the default) takes another worker and says so by `session_moved`; `fail` answers `session_worker_lost`. */
  on_loss?: 'migrate' | 'fail' | undefined
  /** How many seconds the session may go unused before it ends, instead of as many as the service is configured for. */
  session_ttl_s?: number | undefined
  /** Leave Tor by an exit in this country only, by Tor's own GeoIP database: two lower-case letters. Who leaves by one of few exits is easier to recognise, so there must be enough of them that take the port, or it is `no_exit_for_country_port`. Not for onion services and IPv6 addresses. */
  country?: string | undefined
  /** Leave Tor by no exit in these countries, nor by one of which nobody knows where it is. */
  exclude_countries?: readonly string[] | undefined
  /** The `sticky_key` of another session, whose exit this request is not to leave by, nor by another of that relay's family or address. That session must have been used before. */
  distinct_from?: string | undefined
  /** Ask a second worker, too, when the first takes long; the first answer wins. For GET and HEAD without `sticky_key` or `worker`. Shows the URL to two exits. */
  hedge?: boolean | undefined
  /** What shares circuits and connections when there is no `sticky_key`. `destination` (the default): requests to the same host; `request`: nothing, fresh circuits for this request; `none`: every such request. */
  isolation?: 'destination' | 'request' | 'none' | undefined
  /** Use this worker only, by id or number; no other is tried. */
  worker?: string | number | undefined
}

/** What `GET /api/v1/health` answers with. */
export type Health = {
  /** `healthy`: every enabled worker is; `degraded`: not all are, but some worker receives traffic; `down`: none does. */
  status: 'healthy' | 'degraded' | 'down'
  /** How the pool chooses a worker. */
  mode: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover'
  total: number
  receiving_traffic: number
  workers: {
    id: string
    n: number
    desired: 'enabled' | 'drained' | 'stopped'
    state: 'starting' | 'healthy' | 'suspect' | 'dead' | 'recovery'
    /** UTC, ISO 8601. */
    since: string
    consecutive_failures: number
    receives_traffic: boolean
    leases: number
    /** What will be done by itself. Null when nothing will, or when it is being done just now. */
    next_action: {
      /** `probe`, `recover`, `reboot` or the like. */
      type: string
      /** UTC, ISO 8601. */
      at: string
      reason: string | null
    } | null
  }[]
  /** What is wrong at present, the oldest first. */
  problems: {
    /** Stable: match on it. */
    code: string
    severity: 'error' | 'warn' | 'info'
    text: string
    /** UTC, ISO 8601. */
    since: string
    /** Null when it is not of one worker. */
    worker: string | null
  }[]
}

/** What `GET /api/v1/tor/workers/{n}` answers with. */
export type InspectedWorker = {
  id: string
  /** 1 to N, in the order of the configuration. */
  n: number
  kind: 'local' | 'openwrt' | 'external' | 'peer' | 'fake'
  /** What the operator asked for. */
  desired: 'enabled' | 'drained' | 'stopped'
  /** What is observed. */
  state: 'starting' | 'healthy' | 'suspect' | 'dead' | 'recovery'
  /** When it came into that state. */
  since: string
  consecutive_failures: number
  receives_traffic: boolean
  process: {
    state: 'stopped' | 'starting' | 'running' | 'exited' | 'unknown'
    pid: number | null
    started_at: string | null
  }
  /** Tor's own words. */
  bootstrap: {
    progress: number
    tag: string
    summary: string
  }
  tor_version: string | null
  /** Requests that hold the worker now. */
  leases: number
  /** Why it does not do what is desired. */
  problem: string | null
  last_check: {
    /** UTC, ISO 8601. */
    at: string
    ok: boolean
    latency_ms: number | null
    error: string | null
  } | null
  /** The latest attempt to bring it back, up to the first step that failed. */
  last_recovery: {
    /** When it ended. */
    at: string
    ok: boolean
    steps: {
      name: string
      ok: boolean
      /** Whether there was nothing to do. */
      skipped: boolean
      ms: number
      error: string | null
    }[]
  } | null
  /** What will be done by itself. Null when nothing will, or when it is being done just now. */
  next_action: {
    /** `probe`, `recover`, `reboot` or the like. */
    type: string
    /** UTC, ISO 8601. */
    at: string
    reason: string | null
  } | null
  /** Attempts since the service started. */
  requests: number
  /** Attempts that failed by the worker's fault. */
  failures: number
  circuits: {
    id: string
    /** As Tor says it: `BUILT`, `EXTENDED`, ... */
    status: string
    /** As Tor says it: `GENERAL`, `HS_CLIENT_REND`, ... */
    purpose: string | null
    /** Guard first, exit last; as far as it is built. */
    path: {
      nickname: string | null
      fingerprint: string
      /** Of the relay in the consensus. */
      address: string | null
      /** Where that is, by Tor's own GeoIP database: two lower-case letters. */
      country: string | null
    }[]
    age_s: number | null
  }[] | null
  guards: {
    nickname: string | null
    fingerprint: string
    /** As Tor says it: `up`, `down`, ... */
    status: string
  }[] | null
  /** Since Tor's start, all that Tor needs for itself included. */
  traffic: {
    read_bytes: number
    written_bytes: number
  } | null
  /** Positive when Tor's clock is ahead. Null when Tor noticed nothing. */
  clock_skew_s: number | null
  /** What Tor knows of the network. Past `valid_until` it is of no use. */
  consensus: {
    /** UTC, ISO 8601. */
    valid_until: string
    age_s: number
  } | null
  /** The way to the box and what it says of itself. Null for a worker that has none. */
  box: {
    /** `connected`, or why there is no connection. */
    ssh: string
    tunnel: {
      /** Since the latest handshake of WireGuard; null before the first. */
      handshake_age_s: number | null
      problems: string[]
    } | null
    /** What the box's own health script wrote last, and how long ago: a statement about the past. */
    node: {
      state: string
      reason: string | null
      age_s: number
    } | null
  } | null
  /** Why `circuits`, `guards`, `traffic` or `consensus` is null, when one is: Tor is given 1 s to tell. */
  not_told: string | null
}

/** What `POST /api/v1/jobs` or the like answers with. */
export type Job = {
  id: string
  /** The id of the key that it belongs to. */
  owner: string
  name: string | null
  /** `done` says that all fetches have ended, not how. */
  state: 'running' | 'done' | 'cancelled'
  /** UTC, ISO 8601. */
  created_at: string
  ended_at: string | null
  /** UTC, ISO 8601. */
  deadline_at: string
  fetches: number
  counts: {
    waiting: number
    running: number
    done: number
    failed: number
    cancelled: number
  }
  /** Those that wait or run, by what their last failure was about: finding the onion service, a circuit, the exchange; `first` have not failed. */
  progress: {
    first: {
      waiting: number
      running: number
    }
    descriptor: {
      waiting: number
      running: number
    }
    circuit: {
      waiting: number
      running: number
    }
    http: {
      waiting: number
      running: number
    }
  }
  /** When the first of those that wait is due; in the past when it waits for its turn. */
  next_try_at: string | null
  webhook: {
    url: string
    /** `idle`: the job has not ended. */
    state: 'idle' | 'pending' | 'delivered' | 'failed'
    tries: number
    next_try_at: string | null
    /** Of the last try: the status of the receiver, or the code of a problem. */
    outcome: string | null
  } | null
}

/** A part of `JobResult`. */
export type JobAnswer = {
  /** Where the answer came from, after redirects. */
  url: string
  /** The target's status. */
  status: number
  status_text: string
  /** Names in lower case. Several values of a name are joined by ", "; `set-cookie` is always a list. */
  headers: Record<string, string | string[]>
  body: string | null
  body_encoding: 'text' | 'base64' | null
  /** The worker that delivered. */
  worker: string
  receipt: Receipt
}

/** What `POST /api/v1/jobs` takes. */
export type JobOrderInput = {
  /** What to fetch, each as the body of `POST /api/v1/fetch`. */
  fetches: readonly FetchInput[]
  /** For people; nobody else looks at it. */
  name?: string | undefined
  /** When to try again; what is left out is as the service is configured. */
  retry?: {
    /** How long the job may go on, in seconds: what has no answer by then has failed. */
    deadline_s?: number | undefined
    /** How many further tries failures are worth, by how far the fetch had come: finding an onion service, making a circuit, the exchange itself. */
    retries?: {
      descriptor?: number | undefined
      circuit?: number | undefined
      http?: number | undefined
    } | undefined
    /** Statuses of the target that are no answer: it is asked again as after a failure of the exchange, and not before its `Retry-After`. Idempotent methods only. */
    on_status?: readonly number[] | undefined
  } | undefined
  webhook?: {
    /** Where a summary is posted when the job has ended: through Tor, unless the operator has listed the address. */
    url: string
    /** What `webhook-signature` is made with: text, or `whsec_` and base64. It is never shown again. */
    secret?: string | undefined
  } | undefined
}

/** A part of `JobResult`. */
export type JobProblem = {
  /** Describes this type of problem: `GET` it from this service. */
  type: string
  title: string
  status: number
  /** Stable: match on it. */
  code: string
  /** What was attempted, then why not. */
  detail: string
  /** Whose doing it is. */
  fault: 'caller' | 'policy' | 'service' | 'worker' | 'tor' | 'onion' | 'target'
  /** Whether the same request may succeed later. */
  retryable: boolean
  /** Each try on a worker, in order. */
  attempts?: {
    worker: string
    /** `ok`, the code of the problem, or `hedge_lost`: another worker that was asked at the same time was faster. */
    outcome: string
    ms: number
  }[]
  /** Each redirect that was followed, in order. */
  redirects?: {
    status: number
    from: string
    to: string
  }[]
  /** How far the request came, once it had a worker. */
  receipt?: FailureReceipt
}

/** What `GET /api/v1/jobs/{id}/results/{n}` answers with. */
export type JobResult = {
  /** From 0, in the order of `fetches`. */
  n: number
  url: string
  method: string
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'
  /** What its last failure was about. */
  phase: 'descriptor' | 'circuit' | 'http' | null
  /** Those that this service refused, for a limit or for want of a worker, do not count. */
  tries: number
  next_try_at: string | null
  ended_at: string | null
  /** As `POST /api/v1/fetch` answers. */
  answer: JobAnswer | null
  body_bytes: number
  /** `elsewhere`: larger than 65536 bytes, so ask for this result alone. `removed`: to make room. */
  body_is: 'here' | 'elsewhere' | 'removed' | null
  /** Why it failed; of one that waits, why it failed last. */
  problem: JobProblem | null
}

/** What `GET /api/v1/jobs/{id}/results` answers with. */
export type JobResults = {
  results: JobResult[]
  /** `cursor` of the next page; null after the last one. */
  next_cursor: string | null
}

/** What `GET /api/v1/jobs` answers with. */
export type Jobs = {
  jobs: Job[]
  /** `cursor` of the next page; null after the last one. */
  next_cursor: string | null
}

/** What `DELETE /api/v1/keys/{id}` answers with. */
export type Key = {
  /** The key between its first and second `_`: no secret. */
  id: string
  name: string
  scopes: ('fetch' | 'proxy' | 'sessions' | 'workers:read' | 'workers:write' | 'admin')[]
  /** UTC, ISO 8601. */
  created_at: string
  expires_at: string | null
  /** The hour in which it was used last. */
  last_used_at: string | null
  limits: {
    rate: number | null
    burst: number | null
    concurrent: number | null
    bytes_per_day: number | null
  }
  targets: {
    allow: string[]
    deny: string[]
  }
}

/** What `GET /api/v1/keys` answers with. */
export type Keys = {
  keys: Key[]
}

/** What `GET /api/v1/live` answers with. */
export type Live = {
  /** UTC, ISO 8601. */
  at: string
  version: string
  /** When the service was started. */
  started_at: string
  pool: {
    /** `ok`: every enabled worker is healthy; `degraded`: not all are, but some worker receives traffic; `down`: none does. */
    state: 'ok' | 'degraded' | 'down'
    mode: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover'
    /** What the figures are of: the last so many seconds, as far as the service has run. */
    window_s: 60
    /** Requests that were answered or failed; what was wrong with them is no failure. */
    requests_per_s: number
    /** Null when there was none. */
    success_ratio: number | null
    /** Until the answer is whole, or its first byte is there where its body is passed on, or the tunnel stands; to a tenth. */
    p50_ms: number | null
    p95_ms: number | null
    leases: number
    /** Requests that wait for a worker or for their target to have room. */
    waiting: number
    /** Tunnels of proxy clients that stand. */
    tunnels: number
    /** From workers, over the last 5 s. */
    read_bytes_per_s: number
    /** To workers, likewise. */
    written_bytes_per_s: number
  }
  /** The last 15 minutes, the oldest first: 90 points. */
  series: {
    /** When its 10 seconds began. The newest one still grows. */
    at: string
    requests: number
    /** Of those requests. */
    failures: number
    p50_ms: number | null
    p95_ms: number | null
  }[]
  /** What is wrong at present, the oldest first. */
  problems: {
    /** Stable: match on it. */
    code: string
    severity: 'error' | 'warn' | 'info'
    text: string
    /** UTC, ISO 8601. */
    since: string
    /** Null when it is not of one worker. */
    worker: string | null
  }[]
  workers: LiveWorker[]
  /** Those under way, the oldest first, at most 100. */
  requests: LiveRequest[]
  /** All that are under way. */
  requests_total: number
}

/** A part of `Live`. */
export type LiveRequest = {
  /** Of this run of the service. */
  id: number
  kind: 'fetch' | 'forward' | 'tunnel' | 'resolve'
  /** What kind of target it goes to. */
  class: 'onion' | 'clear'
  /** The target's. */
  port: number | null
  /** The id of the caller's key. */
  key: string | null
  /** The worker that it is tried on; null while it waits for one. */
  worker: string | null
  /** UTC, ISO 8601. */
  started_at: string
}

/** A part of `Live`. */
export type LiveWorker = {
  id: string
  /** 1 to N, in the order of the configuration. */
  n: number
  kind: 'local' | 'openwrt' | 'external' | 'peer' | 'fake'
  /** What the operator asked for. */
  desired: 'enabled' | 'drained' | 'stopped'
  /** What is observed. */
  state: 'starting' | 'healthy' | 'suspect' | 'dead' | 'recovery'
  /** When it came into that state. */
  since: string
  consecutive_failures: number
  receives_traffic: boolean
  process: {
    state: 'stopped' | 'starting' | 'running' | 'exited' | 'unknown'
    pid: number | null
    started_at: string | null
  }
  /** Tor's own words. */
  bootstrap: {
    progress: number
    tag: string
    summary: string
  }
  tor_version: string | null
  /** Requests that hold the worker now. */
  leases: number
  /** Why it does not do what is desired. */
  problem: string | null
  last_check: {
    /** UTC, ISO 8601. */
    at: string
    ok: boolean
    latency_ms: number | null
    error: string | null
  } | null
  /** The latest attempt to bring it back, up to the first step that failed. */
  last_recovery: {
    /** When it ended. */
    at: string
    ok: boolean
    steps: {
      name: string
      ok: boolean
      /** Whether there was nothing to do. */
      skipped: boolean
      ms: number
      error: string | null
    }[]
  } | null
  /** What will be done by itself. Null when nothing will, or when it is being done just now. */
  next_action: {
    /** `probe`, `recover`, `reboot` or the like. */
    type: string
    /** UTC, ISO 8601. */
    at: string
    reason: string | null
  } | null
  /** Attempts since the service started. */
  requests: number
  /** Attempts that failed by the worker's fault. */
  failures: number
  /** The states of the last hour, at most 60, the oldest first: it may have begun before that. */
  history: {
    state: 'starting' | 'healthy' | 'suspect' | 'dead' | 'recovery'
    /** UTC, ISO 8601. */
    since: string
  }[]
  /** As of the pool. */
  requests_per_s: number
  read_bytes_per_s: number
  written_bytes_per_s: number
}

/** What `GET /api/v1/mode` or the like answers with. */
export type ModeAnswer = {
  /** How the pool chooses a worker. */
  mode: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover'
  /** What can be chosen. */
  modes: string[]
}

/** What `POST /api/v1/mode` takes. */
export type ModeInput = {
  /** How the pool chooses a worker. */
  mode: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover'
}

/** What `POST /api/v1/tor/workers/{n}/newnym` answers with. */
export type NewCircuits = {
  worker: string
  /** The exits of the circuits that were in use. */
  exits_before: {
    nickname: string
    /** 40 upper-case hexadecimal digits. */
    fingerprint: string
    /** The address of the relay in the consensus; it may send from another one. */
    address: string | null
    /** Where that address is, by Tor's own GeoIP database: two lower-case letters. Null when that is not known. */
    country: string | null
  }[]
  /** The exits of the circuits that are ready for use; more may be on their way. */
  exits_after: {
    nickname: string
    /** 40 upper-case hexadecimal digits. */
    fingerprint: string
    /** The address of the relay in the consensus; it may send from another one. */
    address: string | null
    /** Where that address is, by Tor's own GeoIP database: two lower-case letters. Null when that is not known. */
    country: string | null
  }[]
  /** Whether none of the exits is one from before. Null when it is not known which they are. */
  exit_changed: boolean | null
  /** From the order until Tor had acted. */
  took_ms: number
}

/** What `POST /api/v1/tor/workers/{n}/newnym` takes. */
export type NewCircuitsOrderInput = {
  /** How long to wait for Tor to act; 0 for an answer at once. In the query or in the body, not in both. Default: 12000. */
  wait_ms?: number | undefined
}

/** What `POST /api/v1/tor/workers/{n}/newnym` answers with. */
export type NewCircuitsPending = {
  worker: string
  /** When Tor will act. */
  acts_at: string
}

/** What `POST /api/v1/keys` takes. */
export type NewKeyInput = {
  /** For people: what the key is used for. */
  name: string
  /** What it may be used for. `admin` may everything, making keys included. */
  scopes: readonly ('fetch' | 'proxy' | 'sessions' | 'workers:read' | 'workers:write' | 'admin')[]
  /** From then on it is as if it were revoked. Never when left out. */
  expires_at?: string | undefined
  /** What the key may use at most; what is left out is as configured for all keys. */
  limits?: {
    /** Requests per second in the long run. */
    rate?: number | undefined
    /** Requests at once. */
    burst?: number | undefined
    /** Requests and opening tunnels at the same time. */
    concurrent?: number | undefined
    /** Bytes to and from targets, from one midnight UTC to the next. */
    bytes_per_day?: number | undefined
  } | undefined
  /** Which targets the key may reach, among those that the service lets through: networks (`203.0.113.0/24`), hosts with all names below them (`example.com`), ports (`:443`). */
  targets?: {
    /** Nothing but these may be reached with the key. */
    allow?: readonly string[] | undefined
    /** These may not be reached with the key, whatever allows them. */
    deny?: readonly string[] | undefined
  } | undefined
}

/** What an operation answers with that fails. */
export type Problem = {
  /** Describes this type of problem: `GET` it from this service. */
  type: string
  title: string
  status: number
  /** Stable: match on it. */
  code: string
  /** What was attempted, then why not. */
  detail: string
  /** Whose doing it is. */
  fault: 'caller' | 'policy' | 'service' | 'worker' | 'tor' | 'onion' | 'target'
  /** Whether the same request may succeed later. */
  retryable: boolean
  /** The `X-Request-Id` of the answer; the log has it too. */
  request_id: string
  /** Each try on a worker, in order. */
  attempts?: {
    worker: string
    /** `ok`, the code of the problem, or `hedge_lost`: another worker that was asked at the same time was faster. */
    outcome: string
    ms: number
  }[]
  /** Each redirect that was followed, in order. */
  redirects?: {
    status: number
    from: string
    to: string
  }[]
  /** How far the request came, once it had a worker. */
  receipt?: FailureReceipt
  /** All faults of the request at once, each with the field, what would be right, and a code. `code` above is theirs if they have it in common, else `invalid_input`. */
  errors?: {
    path: string
    message: string
    code: string
  }[]
}

/** What `GET /problems/{code}` answers with. */
export type ProblemType = {
  code: string
  title: string
  status: number
  /** Whose doing it is. */
  fault: 'caller' | 'policy' | 'service' | 'worker' | 'tor' | 'onion' | 'target'
  retryable: boolean
}

/** A part of `FetchAnswer` or the like. */
export type Receipt = {
  /** The worker that delivered. */
  worker: string
  route: 'socks' | 'transparent'
  /** What the circuits of the request were shared by. */
  identity: 'destination' | 'request' | 'none' | 'sticky'
  /** The exit relay, as Tor tells it. Null for an onion service, which has none, and where nobody tells. */
  exit: {
    nickname: string
    /** 40 upper-case hexadecimal digits. */
    fingerprint: string
    /** The address of the relay in the consensus; it may send from another one. */
    address: string | null
    /** Where that address is, by Tor's own GeoIP database: two lower-case letters. Null when that is not known. */
    country: string | null
  } | null
  /** With `circuit_path: true`: the relays of the circuit, guard first; for an onion service as far as the rendezvous point. Null when Tor did not tell in time. */
  circuit_path?: {
    nickname: string
    /** 40 upper-case hexadecimal digits. */
    fingerprint: string
    /** Where it is, by Tor's own GeoIP database. */
    country: string | null
  }[] | null
  /** Whether a connection of an earlier request of this identity was used. */
  connection_reused: boolean
  /** Whether the session of `sticky_key` came to another worker or exit, unasked, with this answer. */
  session_moved: boolean
  /** Whether a second worker was asked, too, because the first took long. */
  hedged: boolean
  /** Each try on a worker, in order. */
  attempts: {
    worker: string
    /** `ok`, the code of the problem, or `hedge_lost`: another worker that was asked at the same time was faster. */
    outcome: string
    ms: number
  }[]
  /** Each redirect that was followed, in order. */
  redirects: {
    status: number
    from: string
    to: string
  }[]
  timing: {
    /** Choosing a worker. */
    queue_ms: number
    /** Making the stream through Tor; 0 on a connection that was kept. */
    connect_ms: number
    /** The TLS handshake; 0 on http and on a connection that was kept. */
    tls_ms: number
    /** From the end of the request to the answer's first byte. */
    first_byte_ms: number
    body_ms: number
    /** Everything: other attempts and redirects included. */
    total_ms: number
  }
  bytes: {
    /** From the workers: TLS, headers, redirects and other attempts included. */
    received: number
    /** To the workers, likewise. */
    sent: number
    /** The size of the body, after decompression and before `body_encoding`. */
    decoded: number
  }
  /** Whether the body goes on beyond `max_bytes`; only with `allow_truncated`. */
  truncated: boolean
}

/** What `POST /api/v1/config/reload` answers with. */
export type ReloadedConfig = {
  /** Fields that hold as they are written from now on. */
  applied: {
    field: string
    /** As it was, as it would be written; null when nothing was said. Secrets are struck out. */
    from: unknown
    /** As it is from now on. */
    to: unknown
  }[]
  /** Workers that come and go, by id. */
  workers: {
    added: string[]
    /** They finish their requests, within 30 s, and are gone then. */
    removed: string[]
    /** Removed and added by the same id and number, one after the other. */
    changed: string[]
  }
  /** Fields that hold as they are written from the next start on. */
  needs_restart: string[]
  /** What else is to be known, a sentence each. */
  notes: string[]
  /** Whether the configuration says what it said before. */
  unchanged: boolean
}

/** What `GET /api/v1/replicas` answers with. */
export type Replicas = {
  store: {
    /** embedded: this gateway is alone. */
    kind: 'embedded' | 'shared'
    up: boolean
    down_since: string | null
    /** Changes that the store does not have yet: they hold here, and go there when it is back. */
    pending: number
  }
  replicas: {
    name: string
    version: string
    /** UTC, ISO 8601. */
    started_at: string
    /** The one that answers. */
    self: boolean
    /** Of the workers that several gateways reach: those that it probes and heals. Alone: all of them. */
    heals: number
  }[]
}

/** What `GET /api/v1/requests` answers with. */
export type Requests = {
  /** The oldest first, at most 100. */
  requests: {
    /** Of this run of the service. */
    id: number
    kind: 'fetch' | 'forward' | 'tunnel' | 'resolve'
    /** What kind of target it goes to. */
    class: 'onion' | 'clear'
    /** The target's. */
    port: number | null
    /** The id of the caller's key. */
    key: string | null
    /** The worker that it is tried on; null while it waits for one. */
    worker: string | null
    /** UTC, ISO 8601. */
    started_at: string
    /** The host of the target: only with `targets=true`. */
    host?: string | null
  }[]
  /** All that are under way. */
  total: number
}

/** What `GET /api/v1/sessions/{key}` or the like answers with. */
export type Session = {
  /** The `sticky_key`. */
  key: string
  /** The id of the caller's key. */
  owner: string
  /** Null until one is chosen. */
  worker: string | null
  /** The exit of its latest request. Null when it is not known. */
  exit: {
    nickname: string
    /** 40 upper-case hexadecimal digits. */
    fingerprint: string
    /** The address of the relay in the consensus; it may send from another one. */
    address: string | null
    /** Where that address is, by Tor's own GeoIP database: two lower-case letters. Null when that is not known. */
    country: string | null
  } | null
  /** UTC, ISO 8601. */
  created_at: string
  /** UTC, ISO 8601. */
  last_used_at: string
  requests: number
  /** When it ends if nobody uses it until then. */
  expires_at: string
  /** How often it came to another worker or exit, unasked. */
  moved: number
}

/** What `GET /api/v1/sessions` answers with. */
export type Sessions = {
  sessions: Session[]
}

/** What `GET /api/v1/tor/status` answers with. */
export type Status = {
  /** `healthy`: every enabled worker is; `degraded`: not all are, but some worker receives traffic; `down`: none does. */
  status: 'healthy' | 'degraded' | 'down'
  /** How the pool chooses a worker. */
  mode: 'round_robin' | 'sticky' | 'random' | 'least_connections' | 'failover'
  service: {
    version: string
    /** UTC, ISO 8601. */
    started_at: string
  }
  workers: {
    total: number
    receiving_traffic: number
    by_state: {
      starting: number
      healthy: number
      suspect: number
      dead: number
      recovery: number
    }
    by_desired: {
      enabled: number
      drained: number
      stopped: number
    }
  }
  tor: {
    /** Tor processes that are there. */
    running: number
    /** Those that are at 100 %. */
    bootstrapped: number
    versions: string[]
  }
  leases: number
  requests: number
  failures: number
}

/** What `GET /api/v1/whoami` answers with. */
export type Whoami = {
  /** The key between its first and second `_`: no secret. */
  id: string
  name: string
  scopes: ('fetch' | 'proxy' | 'sessions' | 'workers:read' | 'workers:write' | 'admin')[]
  expires_at: string | null
  limits: {
    rate: number | null
    burst: number | null
    concurrent: number | null
    bytes_per_day: number | null
  }
  /** `off`: nobody is asked for a key, and everybody may everything. */
  auth: 'on' | 'off'
}

/** What `POST /api/v1/tor/workers/{n}/tor/start` or the like answers with. */
export type Worker = {
  id: string
  /** 1 to N, in the order of the configuration. */
  n: number
  kind: 'local' | 'openwrt' | 'external' | 'peer' | 'fake'
  /** What the operator asked for. */
  desired: 'enabled' | 'drained' | 'stopped'
  /** What is observed. */
  state: 'starting' | 'healthy' | 'suspect' | 'dead' | 'recovery'
  /** When it came into that state. */
  since: string
  consecutive_failures: number
  receives_traffic: boolean
  process: {
    state: 'stopped' | 'starting' | 'running' | 'exited' | 'unknown'
    pid: number | null
    started_at: string | null
  }
  /** Tor's own words. */
  bootstrap: {
    progress: number
    tag: string
    summary: string
  }
  tor_version: string | null
  /** Requests that hold the worker now. */
  leases: number
  /** Why it does not do what is desired. */
  problem: string | null
  last_check: {
    /** UTC, ISO 8601. */
    at: string
    ok: boolean
    latency_ms: number | null
    error: string | null
  } | null
  /** The latest attempt to bring it back, up to the first step that failed. */
  last_recovery: {
    /** When it ended. */
    at: string
    ok: boolean
    steps: {
      name: string
      ok: boolean
      /** Whether there was nothing to do. */
      skipped: boolean
      ms: number
      error: string | null
    }[]
  } | null
  /** What will be done by itself. Null when nothing will, or when it is being done just now. */
  next_action: {
    /** `probe`, `recover`, `reboot` or the like. */
    type: string
    /** UTC, ISO 8601. */
    at: string
    reason: string | null
  } | null
  /** Attempts since the service started. */
  requests: number
  /** Attempts that failed by the worker's fault. */
  failures: number
}

/** What `GET /api/v1/tor/workers` answers with. */
export type Workers = {
  workers: Worker[]
}

/** Every operation of the API, by its `operationId`. */
export const OPERATIONS = {
  fetch: 'POST /api/v1/fetch',
  fetchRaw: 'GET /api/v1/fetch/raw',
  fetchRawByPost: 'POST /api/v1/fetch/raw',
  submitJob: 'POST /api/v1/jobs',
  listJobs: 'GET /api/v1/jobs',
  getJob: 'GET /api/v1/jobs/{id}',
  removeJob: 'DELETE /api/v1/jobs/{id}',
  listJobResults: 'GET /api/v1/jobs/{id}/results',
  getJobResult: 'GET /api/v1/jobs/{id}/results/{n}',
  cancelJob: 'POST /api/v1/jobs/{id}/cancel',
  getHealth: 'GET /api/v1/health',
  getLiveness: 'GET /healthz',
  getMode: 'GET /api/v1/mode',
  setMode: 'POST /api/v1/mode',
  reloadConfig: 'POST /api/v1/config/reload',
  getEndpoints: 'GET /api/v1/endpoints',
  getReplicas: 'GET /api/v1/replicas',
  listWorkers: 'GET /api/v1/tor/workers',
  getWorker: 'GET /api/v1/tor/workers/{n}',
  startTor: 'POST /api/v1/tor/workers/{n}/tor/start',
  stopTor: 'POST /api/v1/tor/workers/{n}/tor/stop',
  restartTor: 'POST /api/v1/tor/workers/{n}/tor/restart',
  rebootBox: 'POST /api/v1/tor/workers/{n}/reboot',
  getStatus: 'GET /api/v1/tor/status',
  newCircuits: 'POST /api/v1/tor/workers/{n}/newnym',
  drainWorker: 'POST /api/v1/workers/drain',
  enableWorker: 'POST /api/v1/workers/enable',
  listSessions: 'GET /api/v1/sessions',
  getSession: 'GET /api/v1/sessions/{key}',
  endSession: 'DELETE /api/v1/sessions/{key}',
  rotateSession: 'POST /api/v1/sessions/{key}/rotate',
  listEvents: 'GET /api/v1/events',
  streamEvents: 'GET /api/v1/events/stream',
  getLive: 'GET /api/v1/live',
  streamLive: 'GET /api/v1/live/stream',
  listRequests: 'GET /api/v1/requests',
  getMetrics: 'GET /metrics',
  getProblemType: 'GET /problems/{code}',
  listKeys: 'GET /api/v1/keys',
  createKey: 'POST /api/v1/keys',
  revokeKey: 'DELETE /api/v1/keys/{id}',
  whoAmI: 'GET /api/v1/whoami',
} as const

/** What operations are sent and answer with; `unknown` where that is no JSON. */
export interface Operations {
  fetch: { body: FetchInput; answer: FetchAnswer }
  fetchRaw: { answer: unknown }
  fetchRawByPost: { body: FetchRawInput; answer: unknown }
  submitJob: { body: JobOrderInput; answer: Job }
  listJobs: { answer: Jobs }
  getJob: { answer: Job }
  removeJob: { answer: Job }
  listJobResults: { answer: JobResults }
  getJobResult: { answer: JobResult }
  cancelJob: { answer: Job }
  getHealth: { answer: Health }
  getLiveness: { answer: {
    status: 'ok'
  } }
  getMode: { answer: ModeAnswer }
  setMode: { body: ModeInput; answer: ModeAnswer }
  reloadConfig: { answer: ReloadedConfig }
  getEndpoints: { answer: Endpoints }
  getReplicas: { answer: Replicas }
  listWorkers: { answer: Workers }
  getWorker: { answer: InspectedWorker }
  startTor: { answer: Worker }
  stopTor: { answer: Worker }
  restartTor: { answer: Worker }
  rebootBox: { answer: Worker }
  getStatus: { answer: Status }
  newCircuits: { body: NewCircuitsOrderInput | undefined; answer: NewCircuits | NewCircuitsPending }
  drainWorker: { body: DrainInput; answer: Worker }
  enableWorker: { body: EnableInput; answer: Worker }
  listSessions: { answer: Sessions }
  getSession: { answer: Session }
  endSession: { answer: Session }
  rotateSession: { answer: Session }
  listEvents: { answer: Events }
  streamEvents: { answer: unknown }
  getLive: { answer: Live }
  streamLive: { answer: unknown }
  listRequests: { answer: Requests }
  getMetrics: { answer: unknown }
  getProblemType: { answer: ProblemType }
  listKeys: { answer: Keys }
  createKey: { body: NewKeyInput; answer: CreatedKey }
  revokeKey: { answer: Key }
  whoAmI: { answer: Whoami }
}
