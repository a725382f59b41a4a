interface TextBlockProps {
  /** What it is, for screen readers. */
  readonly label: string
  readonly text: string
}

/** Text as it is, which scrolls when there is much of it. */
export function TextBlock({ label, text }: TextBlockProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="text-block" tabIndex={0} aria-label={label}>
      <pre>{text}</pre>
    </section>
  )
}
