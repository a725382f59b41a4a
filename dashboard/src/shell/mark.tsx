/** Two rings around a point: what is asked for, and the layers around it. */
export function Mark({ size = 24 }: { readonly size?: number }) {
  return (
    <svg class="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <circle cx="16" cy="16" r="9" />
      <circle cx="16" cy="16" r="4.6" />
      <circle class="mark-core" cx="16" cy="16" r="1.6" />
    </svg>
  )
}
