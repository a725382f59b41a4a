/** A rectangle of a flag, on a field of 12 by 9. */
export interface Patch {
  readonly colour: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const COLOURS: Readonly<Record<string, string>> = {
  w: '#ffffff',
  k: '#1b1b1b',
  r: '#cf2b36',
  b: '#1f4fa3',
  l: '#6cace4',
  g: '#1e8a4c',
  y: '#f6c945',
  o: '#ef8a2b',
  d: '#7a1f2b',
}

/**
 * Flags that are stripes or crosses, of the countries where most relays are, a letter a colour: `h` from top to bottom, `v` from the
 * hoist on, `x` a Nordic cross (field, cross, and the cross within). Others are told by their letters alone.
 */
const FLAGS: Readonly<Record<string, string>> = {
  am: 'hrbo',
  at: 'hrwr',
  be: 'vkyr',
  bg: 'hwgr',
  bo: 'hryg',
  ch: 'crw',
  ci: 'vowg',
  co: 'hyybr',
  de: 'hkry',
  dk: 'xrw',
  ee: 'hbkw',
  es: 'hryyr',
  fi: 'xwb',
  fr: 'vbwr',
  ga: 'hgyb',
  gn: 'vryg',
  hu: 'hrwg',
  id: 'hrw',
  ie: 'vgwo',
  is: 'xbwr',
  it: 'vgwr',
  lt: 'hygr',
  lu: 'hrwl',
  lv: 'hddwdd',
  mc: 'hrw',
  ml: 'vgyr',
  mu: 'hrbyg',
  ng: 'vgwg',
  nl: 'hrwb',
  no: 'xrwb',
  pe: 'vrwr',
  pl: 'hwr',
  ro: 'vbyr',
  ru: 'hwbr',
  se: 'xby',
  th: 'hrwbbwr',
  td: 'vbyr',
  ua: 'hly',
  ye: 'hrwk',
}

export function flagOf(code: string): readonly Patch[] | undefined {
  const [kind, ...letters] = FLAGS[code] ?? ''
  const colours = letters.map((letter) => COLOURS[letter] ?? '')
  if (kind === 'h') return stripes(colours, 9, (y, height, colour) => ({ colour, x: 0, y, width: 12, height }))
  if (kind === 'v') return stripes(colours, 12, (x, width, colour) => ({ colour, x, y: 0, width, height: 9 }))
  const [field = '', cross = '', within] = colours
  const ground = { colour: field, x: 0, y: 0, width: 12, height: 9 }
  if (kind === 'c') return [ground, bar(cross, 5, 2, 2, 5), bar(cross, 3.5, 3.5, 5, 2)]
  if (kind !== 'x') return undefined
  const inner = within === undefined ? [] : [bar(within, 4, 0, 1, 9), bar(within, 0, 4, 12, 1)]
  return [ground, bar(cross, 3.5, 0, 2, 9), bar(cross, 0, 3.5, 12, 2), ...inner]
}

function stripes(
  colours: readonly string[],
  length: number,
  patch: (from: number, size: number, colour: string) => Patch,
): readonly Patch[] {
  const size = length / colours.length
  return colours.map((colour, index) => patch(index * size, size, colour))
}

function bar(colour: string, x: number, y: number, width: number, height: number): Patch {
  return { colour, x, y, width, height }
}
