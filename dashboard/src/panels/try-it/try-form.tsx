import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'
import { useLive } from '../../context.ts'
import { ISOLATION_NAMES, METHODS, MODE_NAMES } from './choices.ts'
import type { TryForm } from './form.ts'

/** What is wrong with a field, as the service says it. */
export type FieldFaults = Readonly<Partial<Record<keyof TryForm, string>>>

interface TryFieldsProps {
  readonly form: TryForm
  readonly faults: FieldFaults
  readonly onChange: (form: TryForm) => void
}

export function TryFields({ form, faults, onChange }: TryFieldsProps) {
  const workers = useLive(({ view }) => view?.workers)
  const listId = useId()
  const set = (field: keyof TryForm) => ({
    value: form[field],
    onInput: ({ currentTarget }: { currentTarget: { value: string } }) =>
      onChange({ ...form, [field]: currentTarget.value }),
    'aria-invalid': faults[field] !== undefined,
  })
  const hasBody = form.method !== 'GET' && form.method !== 'HEAD'
  const further = (['country', 'isolation', 'worker', 'headers', 'timeoutS'] as const).some((name) => faults[name])
  return (
    <>
      <div class="try-address">
        <Field name="Method" fault={faults.method}>
          <select {...set('method')}>
            {METHODS.map((method) => (
              <option key={method}>{method}</option>
            ))}
          </select>
        </Field>
        <Field name="URL, clearnet or .onion" fault={faults.url}>
          <input
            {...set('url')}
            inputMode="url"
            required
            spellcheck={false}
            autocomplete="off"
            placeholder="https://check.torproject.org/api/ip"
          />
        </Field>
      </div>
      {hasBody && (
        <Field name="Body" fault={faults.body}>
          <textarea {...set('body')} rows={3} spellcheck={false} />
        </Field>
      )}
      <div class="try-choices">
        <Field name="Mode" fault={faults.mode}>
          <select {...set('mode')}>
            <option value="">as the pool</option>
            {Object.entries(MODE_NAMES).map(([mode, name]) => (
              <option key={mode} value={mode}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <Field name="Sticky key" fault={faults.stickyKey}>
          <input {...set('stickyKey')} autocomplete="off" spellcheck={false} placeholder="none" />
        </Field>
        <Field name="Exit country" fault={faults.country}>
          <input {...set('country')} autocomplete="off" spellcheck={false} maxLength={2} placeholder="any" />
        </Field>
      </div>
      <details class="try-more" open={further}>
        <summary>Isolation, worker, headers, timeout</summary>
        <div class="try-choices">
          <Field name="Circuits shared" fault={faults.isolation}>
            <select {...set('isolation')}>
              <option value="">by default</option>
              {Object.entries(ISOLATION_NAMES).map(([isolation, name]) => (
                <option key={isolation} value={isolation}>
                  {name}
                </option>
              ))}
            </select>
          </Field>
          <Field name="Worker" fault={faults.worker}>
            <input {...set('worker')} list={listId} autocomplete="off" spellcheck={false} placeholder="any" />
          </Field>
          <Field name="Timeout, seconds" fault={faults.timeoutS}>
            <input {...set('timeoutS')} type="number" min="0.5" max="300" step="0.5" />
          </Field>
        </div>
        <datalist id={listId}>
          {workers?.map(({ id }) => (
            <option key={id} value={id} />
          ))}
        </datalist>
        <Field name="Headers, a line each" fault={faults.headers}>
          <textarea {...set('headers')} rows={2} spellcheck={false} placeholder="Accept-Language: de" />
        </Field>
      </details>
    </>
  )
}

interface FieldProps {
  readonly name: string
  readonly fault: string | undefined
  readonly children: ComponentChildren
}

function Field({ name, fault, children }: FieldProps) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label class="field">
      <span>{name}</span>
      {children}
      {fault !== undefined && <span class="field-fault">{fault}</span>}
    </label>
  )
}
