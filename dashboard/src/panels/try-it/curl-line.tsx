import { usePage } from '../../context.ts'
import { Button } from '../../ui/button.tsx'
import { TextBlock } from '../text-block.tsx'
import { curlOf, type Order } from './form.ts'

interface CurlLineProps {
  /** Undefined while the form is no order. */
  readonly order: Order | undefined
  readonly asksForKey: boolean
}

export function CurlLine({ order, asksForKey }: CurlLineProps) {
  const { notify } = usePage()
  if (order === undefined || order.url === '') return null
  const line = curlOf(order, location.origin, asksForKey)
  const copy = async () => {
    await navigator.clipboard.writeText(line)
    notify({ tone: 'ok', text: 'Copied.' })
  }
  return (
    <details class="curl">
      <summary>The same with curl</summary>
      <TextBlock label="The same with curl" text={line} />
      <p class="muted">
        {asksForKey && (
          <>
            <code>KEY</code> is a variable of your shell.{' '}
          </>
        )}
        <Button kind="plain" onPress={copy}>
          Copy
        </Button>
      </p>
    </details>
  )
}
