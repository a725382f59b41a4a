import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { textOf } from '../api/client.ts'
import { usePage } from '../context.ts'
import { ConfirmDialog } from './confirm-dialog.tsx'
import { Icon, type IconName } from './icon.tsx'

export interface Confirmation {
  /** A question: `Restart Tor of tor02?` */
  readonly title: string
  /** What it costs, a sentence or two. */
  readonly text: ComponentChildren
  /** What the button that does it says; as the button itself when left out. */
  readonly action?: string
}

interface ButtonProps {
  readonly children: ComponentChildren
  readonly icon?: IconName
  /** `plain` looks like a link in a row; `danger` ends something. */
  readonly kind?: 'primary' | 'normal' | 'plain' | 'danger'
  /** While what it returns is pending the button waits; when that fails, the error's sentence is shown as a notice. */
  readonly onPress: () => unknown
  /** What is said when it is done; nothing when left out. */
  readonly done?: string
  /** Asked first, each time. */
  readonly confirm?: Confirmation | undefined
  /** Why it cannot be pressed now. */
  readonly disabledBecause?: string | undefined
  /** What it is called where `children` says too little: `Restart tor02`. */
  readonly label?: string
  readonly type?: 'button' | 'submit'
}

export function Button(props: ButtonProps) {
  const { children, icon, kind = 'normal', onPress, done, confirm, disabledBecause, label, type = 'button' } = props
  const { notify } = usePage()
  const [isPending, setPending] = useState(false)
  const [isAsking, setAsking] = useState(false)

  async function run() {
    setAsking(false)
    setPending(true)
    try {
      await onPress()
      if (done !== undefined) notify({ tone: 'ok', text: done })
    } catch (error) {
      notify({ tone: 'error', text: textOf(error) })
    } finally {
      setPending(false)
    }
  }

  function press() {
    if (isPending || disabledBecause !== undefined) return
    if (confirm) setAsking(true)
    else void run()
  }

  return (
    <>
      <button
        type={type}
        class={`button button-${kind}`}
        // Not `disabled`: who cannot press it is to be told why, by keyboard and screen reader too.
        aria-disabled={disabledBecause !== undefined || isPending}
        aria-busy={isPending}
        aria-label={disabledBecause === undefined ? label : `${label ?? textIn(children)}: ${disabledBecause}`}
        title={disabledBecause}
        onClick={press}
      >
        {isPending ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
        <span>{children}</span>
      </button>
      {confirm && isAsking && (
        <ConfirmDialog
          title={confirm.title}
          text={confirm.text}
          action={confirm.action ?? textIn(children)}
          isDanger={kind === 'danger'}
          onConfirm={run}
          onCancel={() => setAsking(false)}
        />
      )}
    </>
  )
}

function textIn(children: ComponentChildren): string {
  return typeof children === 'string' ? children : ''
}
