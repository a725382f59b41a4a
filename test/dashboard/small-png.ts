import { crc32, deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const COLOURS = 256

/**
 * The same picture with 256 colours, which is a third of the size and, of a page, hard to tell apart. Takes what browsers write: 8 bits
 * for each of three or four channels, not interlaced; what is transparent becomes opaque. (https://www.w3.org/TR/png-3/)
 */
export function withFewColours(png: Buffer): Buffer {
  const { width, height, channels, data } = decode(png)
  const palette = paletteOf(data, channels)
  const nearest = new Map<number, number>()
  const rows = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = data.readUIntBE((y * width + x) * channels, 3)
      let index = nearest.get(colour)
      if (index === undefined) {
        index = nearestIn(palette, colour)
        nearest.set(colour, index)
      }
      rows[y * (width + 1) + 1 + x] = index
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3, 0, 0, 0], 8)
  const colours = Buffer.alloc(palette.length * 3)
  palette.forEach((colour, n) => void colours.writeUIntBE(colour, 3 * n, 3))
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

interface Pixels {
  readonly width: number
  readonly height: number
  readonly channels: 3 | 4
  readonly data: Buffer
}

function decode(png: Buffer): Pixels {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)]
  const [depth, kind, , , interlaced] = png.subarray(24, 29)
  if (depth !== 8 || (kind !== 2 && kind !== 6) || interlaced !== 0)
    throw new Error('Cannot read the picture: not as browsers write it')
  const channels = kind === 2 ? 3 : 4
  const packed: Buffer[] = []
  for (let at = SIGNATURE.length; at < png.length; at += png.readUInt32BE(at) + 12) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      packed.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)))
  }
  const filtered = inflateSync(Buffer.concat(packed))
  const stride = width * channels
  const data = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y++) {
    const filter = filtered[y * (stride + 1)]
    for (let x = 0; x < stride; x++) {
      const left = x >= channels ? (data[y * stride + x - channels] ?? 0) : 0
      const up = y > 0 ? (data[(y - 1) * stride + x] ?? 0) : 0
      const corner = x >= channels && y > 0 ? (data[(y - 1) * stride + x - channels] ?? 0) : 0
      const raw = filtered[y * (stride + 1) + 1 + x] ?? 0
      data[y * stride + x] = raw + predicted(filter, left, up, corner)
    }
  }
  return { width, height, channels, data }
}

function predicted(filter: number | undefined, left: number, up: number, corner: number): number {
  switch (filter) {
    case 1:
      return left
    case 2:
      return up
    case 3:
      return (left + up) >> 1
    case 4: {
      const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)]
      return a <= b && a <= c ? left : b <= c ? up : corner
    }
    default:
      return 0
  }
}

/** Those that are there most, of colours that are much alike only the commonest. */
function paletteOf(data: Buffer, channels: number): readonly number[] {
  const counts = new Map<number, number>()
  for (let at = 0; at < data.length; at += channels) {
    const colour = data.readUIntBE(at, 3)
    counts.set(colour, (counts.get(colour) ?? 0) + 1)
  }
  const groups = new Map<number, [colour: number, own: number, all: number]>()
  for (const [colour, count] of counts) {
    const alike = colour & 0xfcfcfc
    const [best, own, all] = groups.get(alike) ?? [colour, 0, 0]
    groups.set(alike, count > own ? [colour, count, all + count] : [best, own, all + count])
  }
  return [...groups.values()]
    .sort(([, , one], [, , other]) => other - one)
    .slice(0, COLOURS)
    .map(([colour]) => colour)
}

function nearestIn(palette: readonly number[], colour: number): number {
  let best = 0
  let least = Number.POSITIVE_INFINITY
  palette.forEach((each, index) => {
    const red = (each >> 16) - (colour >> 16)
    const green = ((each >> 8) & 0xff) - ((colour >> 8) & 0xff)
    const blue = (each & 0xff) - (colour & 0xff)
    const distance = 2 * red * red + 4 * green * green + blue * blue
    if (distance >= least) return
    least = distance
    best = index
  })
  return best
}

function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, sum])
}
