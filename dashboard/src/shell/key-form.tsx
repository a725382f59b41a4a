import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { isKey } from '../key.ts'
import { Icon } from '../ui/icon.tsx'
import { Mark } from './mark.tsx'

interface KeyFormProps {
  /** Why the key that was there is not good, a sentence. */
  readonly why: string | undefined
  readonly onKey: (key: string) => void
}

/** Asks for a key. It stays in this tab and is sent to this service alone. */
export function KeyForm({ why, onKey }: KeyFormProps) {
  const [fault, setFault] = useState<string>()
  const input = useRef<HTMLInputElement>(null)
  const id = useId()
  const faultId = useId()
  const helpId = useId()
  useEffect(() => input.current?.focus(), [])

  function submit(event: Event) {
    event.preventDefault()
    const key = input.current?.value.trim() ?? ''
    if (isKey(key)) onKey(key)
    else setFault(key === '' ? 'Enter a key.' : 'This is no key of CBTOR: they begin with cbt_, as cbt_7Kq2mXw0_….')
  }

  const shown = fault ?? why
  return (
    <main class="gate">
      <form class="gate-box" onSubmit={submit} noValidate>
        <Mark size={40} />
        <h1>CBTOR</h1>
        {why === undefined ? <p>Enter a key to see this gateway.</p> : <p>Enter another key.</p>}
        <label class="gate-label" for={id}>
          Key
        </label>
        <div class="gate-row">
          <input
            ref={input}
            id={id}
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="cbt_…"
            aria-invalid={shown !== undefined}
            aria-describedby={shown === undefined ? helpId : `${faultId} ${helpId}`}
          />
          <button type="submit" class="button button-primary">
            <Icon name="right" />
            <span>Enter</span>
          </button>
        </div>
        {shown !== undefined && (
          <p id={faultId} class="gate-fault tone-bad" role="alert">
            <Icon name="bad" />
            <span>{shown}</span>
          </p>
        )}
        <p id={helpId} class="gate-help">
          <code>cbtor dashboard</code> on the gateway's machine prints one that is good for 12 hours. The key stays in
          this tab and is forgotten with it.
        </p>
      </form>
    </main>
  )
}
