import { linkTo } from '../routing/route.ts'

interface WorkerLinkProps {
  readonly id: string | null | undefined
}

export function WorkerLink({ id }: WorkerLinkProps) {
  if (id === null || id === undefined) return <span class="muted">none</span>
  return (
    <a class="worker-link" href={linkTo('workers', id)}>
      {id}
    </a>
  )
}
