/** Drawn for this page on a grid of 16, as strokes in the colour of the text around them. */
const PATHS = {
  overview: 'M2.5 13.5V9.8M6.2 13.5V6M9.9 13.5V8.2M13.5 13.5V2.5',
  workers: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  sessions:
    'M6.2 9.8a3 3 0 0 0 4.3 0l2.3-2.3a3 3 0 0 0-4.3-4.3l-.9.9M9.8 6.2a3 3 0 0 0-4.3 0L3.2 8.5a3 3 0 0 0 4.3 4.3l.9-.9',
  jobs: 'M5.5 4h8M5.5 8h8M5.5 12h8M2.4 4h.01M2.4 8h.01M2.4 12h.01',
  checks: 'M1.5 8h3l2-5 3 10 2-5h3',
  events: 'M8 4.5V8l2.4 1.6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  requests: 'M2.5 5.5h10l-3-3M13.5 10.5h-10l3 3',
  try: 'M13.7 2.3 7 9M13.7 2.3 9.5 13.7 7 9 2.3 6.5z',
  ok: 'M5.2 8.2 7.2 10.2 10.9 6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  warn: 'M8 6v3M8 11.3h.01M8 2.2 14.3 13.3H1.7z',
  bad: 'M6 6l4 4M10 6l-4 4M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  info: 'M8 7.4v3.4M8 5.1h.01M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  recovery: 'M13.5 3v3.2h-3.2M13.2 6A5.5 5.5 0 1 0 13.5 9',
  starting: 'M8 2a6 6 0 0 1 6 6M8 14a6 6 0 0 1-6-6M4.2 3.3l.01.01M11.8 12.7l.01.01',
  drained: 'M6 5.5v5M10 5.5v5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  stopped: 'M6 6h4v4H6zM14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  start: 'M4.8 3.2v9.6L12.6 8z',
  stop: 'M4 4h8v8H4z',
  restart: 'M13.5 3v3.2h-3.2M13.2 6A5.5 5.5 0 1 0 13.5 9',
  drain: 'M5.5 3.5v9M10.5 3.5v9',
  enable: 'M3 8.4 6.4 11.8 13 4.6',
  circuits:
    'M2.8 8a1.3 1.3 0 1 0 2.6 0 1.3 1.3 0 0 0-2.6 0zM10.6 4a1.3 1.3 0 1 0 2.6 0 1.3 1.3 0 0 0-2.6 0zM10.6 12a1.3 1.3 0 1 0 2.6 0 1.3 1.3 0 0 0-2.6 0zM5.2 7.4l5.5-2.8M5.2 8.6l5.5 2.8',
  reboot: 'M8 2v5.4M4.6 4.1a5.3 5.3 0 1 0 6.8 0',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M10.4 10.4 13.6 13.6M11.6 7a4.6 4.6 0 1 1-9.2 0 4.6 4.6 0 0 1 9.2 0z',
  right: 'M6 3.5 10.5 8 6 12.5',
  down: 'M3.5 6 8 10.5 12.5 6',
  key: 'M9.4 6.6 14 2M12 4l1.7 1.7M10 6l1.5 1.5M10.2 9.4a3.6 3.6 0 1 1-7.2 0 3.6 3.6 0 0 1 7.2 0z',
  sun: 'M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9M11 8a3 3 0 1 1-6 0 3 3 0 0 1 6 0z',
  moon: 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z',
  system: 'M2 3h12v8H2zM5.5 13.5h5M8 11v2.5',
  book: 'M3 2.5h8.5A1.5 1.5 0 0 1 13 4v9.5H4.5A1.5 1.5 0 0 1 3 12zM3 12a1.5 1.5 0 0 1 1.5-1.5H13',
  onion:
    'M8 1.8c0 2 5.2 3.4 5.2 7.2A5 5 0 0 1 8 14.2 5 5 0 0 1 2.8 9C2.8 5.2 8 3.8 8 1.8zM8 5.5c0 1.4 2.4 2 2.4 4A2.4 2.4 0 0 1 8 12a2.4 2.4 0 0 1-2.4-2.5c0-2 2.4-2.6 2.4-4z',
  out: 'M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6',
} as const

export type IconName = keyof typeof PATHS

interface IconProps {
  readonly name: IconName
  /** In CSS pixels; 16 when left out. */
  readonly size?: number
  /** What it says where no text beside it does. */
  readonly label?: string
}

export function Icon({ name, size = 16, label }: IconProps) {
  return (
    // biome-ignore lint/a11y/noSvgWithoutTitle: hidden from readers, or labelled
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width={size}
      height={size}
      {...(label === undefined ? { 'aria-hidden': 'true' as const } : { role: 'img' as const, 'aria-label': label })}
    >
      <path d={PATHS[name]} />
    </svg>
  )
}
