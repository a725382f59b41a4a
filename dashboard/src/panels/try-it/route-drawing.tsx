import type { FetchAnswerBody } from '../../api/bodies.ts'
import { Country } from '../../ui/country.tsx'
import { WorkerLink } from '../worker-link.tsx'
import { type Hop, hopsOf } from './hops.ts'

/** The stations from here to the target, joined by a line: in a row where there is room, else below one another. */
export function RouteDrawing({ answer }: { readonly answer: FetchAnswerBody }) {
  return (
    <ol class="route" aria-label="The way that the request took">
      {hopsOf(answer).map((hop, n) => (
        <Station key={n} hop={hop} />
      ))}
    </ol>
  )
}

function Station({ hop: { kind, role, name, country, title } }: { readonly hop: Hop }) {
  return (
    <li class={`hop hop-${kind}`}>
      <span class="hop-dot" aria-hidden="true" />
      <span class="hop-text">
        <span class="hop-name" title={title}>
          {kind === 'worker' ? <WorkerLink id={name} /> : <Breakable text={name} />}
        </span>
        <span class="hop-role">
          {role} {country !== null && <Country code={country} />}
        </span>
      </span>
    </li>
  )
}

/** Names of hosts have no blanks: broken at their dots they fit below the station. */
function Breakable({ text }: { readonly text: string }) {
  const [first, ...others] = text.split('.')
  return (
    <>
      {first}
      {others.map((part, n) => (
        <>
          <wbr key={n} />.{part}
        </>
      ))}
    </>
  )
}
