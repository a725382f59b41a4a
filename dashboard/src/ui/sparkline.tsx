interface SparklineProps {
  /** The oldest first; null where there is none. */
  readonly values: readonly (number | null)[]
  /** What it shows, with its last value, for screen readers. */
  readonly label: string
  readonly width?: number
  readonly height?: number
}

/** A small line without axes. */
export function Sparkline({ values, label, width = 96, height = 24 }: SparklineProps) {
  const known = values.filter((value) => value !== null)
  const top = Math.max(...known, 1e-9)
  const stepX = values.length > 1 ? (width - 4) / (values.length - 1) : 0
  let path = ''
  let isDown = false
  values.forEach((value, index) => {
    if (value === null) {
      isDown = false
      return
    }
    const y = height - 2 - (value / top) * (height - 4)
    path += `${isDown ? 'L' : 'M'}${(2 + index * stepX).toFixed(1)} ${y.toFixed(1)}`
    isDown = true
  })
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      role="img"
      aria-label={label}
    >
      <path d={path} />
    </svg>
  )
}
