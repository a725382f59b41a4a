import { flagOf } from './flags.ts'

interface CountryProps {
  /** Two letters, as Tor's GeoIP has it; null when it is not known. */
  readonly code: string | null
}

const NAMES = new Intl.DisplayNames('en', { type: 'region' })

/** A country by its code, with its flag where a few stripes make it; pictures of letters are not drawn alike everywhere. */
export function Country({ code }: CountryProps) {
  if (code === null) {
    return (
      <span class="country country-unknown" title="Country not known">
        ??
      </span>
    )
  }
  const flag = flagOf(code)
  const name = countryName(code)
  return (
    <span class="country" title={name}>
      {flag && (
        <svg viewBox="0 0 12 9" width="12" height="9" aria-hidden="true">
          {flag.map(({ colour, x, y, width, height }, index) => (
            <rect key={index} {...{ x, y, width, height }} fill={colour} />
          ))}
        </svg>
      )}
      {code.toUpperCase()}
      <span class="for-readers">, {name}</span>
    </span>
  )
}

/** `Germany` for `de`; the code itself where it is none. */
export function countryName(code: string): string {
  try {
    return NAMES.of(code.toUpperCase()) ?? code
  } catch {
    return code
  }
}
