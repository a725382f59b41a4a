import { useEffect, useRef, useState } from 'preact/hooks'
import type { FetchAnswerBody } from '../../api/bodies.ts'
import { ApiFailure, textOf } from '../../api/client.ts'
import { usePage } from '../../context.ts'
import { Button } from '../../ui/button.tsx'
import { EmptyState, ErrorNote } from '../../ui/notes.tsx'
import { Panel } from '../../ui/panel.tsx'
import { NeedsScope } from '../needs-scope.tsx'
import { AnswerView } from './answer-view.tsx'
import { CurlLine } from './curl-line.tsx'
import { FailureView } from './failure-view.tsx'
import { EMPTY_FORM, fieldOf, type Order, orderOf, type TryForm } from './form.ts'
import { type FieldFaults, TryFields } from './try-form.tsx'

/** What came of the latest try. */
type Outcome =
  | { readonly state: 'none' }
  | { readonly state: 'pending' }
  | { readonly state: 'answered'; readonly answer: FetchAnswerBody }
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'cancelled' }

/** Kept while the page is open, for who looks elsewhere and comes back; not for who comes with another key. */
let last: { readonly key: string; readonly form: TryForm } | undefined

export function TryIt() {
  return (
    <NeedsScope
      scope="fetch"
      title="Try it"
      shows="Here a URL is fetched through the pool, and the way it took is shown."
    >
      <TryPanel />
    </NeedsScope>
  )
}

function TryPanel() {
  const { api, caller } = usePage()
  const [form, setForm] = useState<TryForm>(last?.key === caller.id ? last.form : EMPTY_FORM)
  const [outcome, setOutcome] = useState<Outcome>({ state: 'none' })
  const running = useRef<AbortController>(undefined)
  last = { key: caller.id, form }
  useEffect(() => () => running.current?.abort(), [])

  async function fetchIt() {
    running.current?.abort()
    const run = new AbortController()
    running.current = run
    setOutcome({ state: 'pending' })
    try {
      const answer = await api.post<FetchAnswerBody>('/api/v1/fetch', orderOf(form), run.signal)
      setOutcome({ state: 'answered', answer })
    } catch (error) {
      if (running.current === run) setOutcome(run.signal.aborted ? { state: 'cancelled' } : { state: 'failed', error })
    }
  }

  const isPending = outcome.state === 'pending'
  return (
    <div class="try">
      <Panel title="Try it" note="POST /api/v1/fetch">
        <form
          class="try-form"
          onSubmit={(event) => {
            event.preventDefault()
            void fetchIt()
          }}
        >
          <TryFields form={form} faults={faultsIn(outcome)} onChange={setForm} />
          <div class="try-actions">
            <button type="submit" class="button button-primary" aria-disabled={isPending} aria-busy={isPending}>
              {isPending && <span class="spinner" aria-hidden="true" />}
              <span>Fetch through Tor</span>
            </button>
            {isPending && <Button onPress={() => running.current?.abort()}>Cancel</Button>}
          </div>
        </form>
        <CurlLine order={orderOrUndefined(form)} asksForKey={caller.auth === 'on'} />
      </Panel>
      <div class="try-outcome" aria-live="polite" aria-busy={isPending}>
        <OutcomeView outcome={outcome} />
      </div>
    </div>
  )
}

function OutcomeView({ outcome }: { readonly outcome: Outcome }) {
  switch (outcome.state) {
    case 'none':
      return (
        <Panel title="Answer">
          <EmptyState icon="try" title="Nothing was fetched yet.">
            The answer comes with its receipt: which worker, which relays, and where the time went.
          </EmptyState>
        </Panel>
      )
    case 'pending':
      return (
        <Panel title="Answer">
          <EmptyState icon="try" title="Under way …">
            A circuit takes a second or two; an onion service may take half a minute.
          </EmptyState>
        </Panel>
      )
    case 'cancelled':
      return (
        <Panel title="Answer">
          <EmptyState icon="stopped" title="Cancelled.">
            The service has let go of the request. The target may have got it already.
          </EmptyState>
        </Panel>
      )
    case 'answered':
      return <AnswerView answer={outcome.answer} />
    case 'failed': {
      const { error } = outcome
      if (error instanceof ApiFailure && error.problem) return <FailureView problem={error.problem} />
      return <ErrorNote error={error} />
    }
  }
}

function faultsIn(outcome: Outcome): FieldFaults {
  if (outcome.state !== 'failed') return {}
  const { error } = outcome
  if (!(error instanceof ApiFailure)) return { headers: textOf(error) }
  const faults = error.problem?.errors ?? []
  return Object.fromEntries(faults.flatMap(({ path, message }) => (fieldOf(path) ? [[fieldOf(path), message]] : [])))
}

function orderOrUndefined(form: TryForm): Order | undefined {
  try {
    return orderOf(form)
  } catch {
    return undefined
  }
}
