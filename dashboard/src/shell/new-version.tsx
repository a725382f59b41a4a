import { useRef } from 'preact/hooks'
import { useLive } from '../context.ts'
import { Icon } from '../ui/icon.tsx'

/** Says when the service has become another version than the one that this page came with. */
export function NewVersion() {
  const version = useLive((state) => state.view?.version)
  const first = useRef(version)
  first.current ??= version
  if (version === first.current) return null
  return (
    <div class="note tone-info" role="status">
      <Icon name="info" />
      <p>
        The service is version {version} now; this page came with {first.current}.
      </p>
      <button type="button" class="button button-normal" onClick={() => location.reload()}>
        <span>Reload</span>
      </button>
    </div>
  )
}
