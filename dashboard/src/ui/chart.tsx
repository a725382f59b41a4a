import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { timeOfDay } from '../time/clock.ts'
import 'uplot/dist/uPlot.min.css'

export interface ChartSeries {
  readonly name: string
  /** A custom property of tokens.css: `--accent`. */
  readonly colour: string
  readonly kind: 'bars' | 'line' | 'dashes'
  /** One for each time. */
  readonly values: readonly (number | null)[]
}

/** What a bar stands for. */
const BAR_S = 10

interface ChartProps {
  /** Epoch seconds, the oldest first. */
  readonly times: readonly number[]
  readonly series: readonly ChartSeries[]
  /** How values are written at the axis. */
  readonly format: (value: number) => string
  /** What it shows, in a sentence, for who cannot see it. */
  readonly label: string
  readonly height: number
  /** The top of the axis is no lower. */
  readonly least: number
  /** Charts of the same group show the same time under the pointer. */
  readonly group: string
  /** The place in `times` under the pointer; undefined when it is elsewhere. */
  readonly onPoint?: (index: number | undefined) => void
}

/** Values over time, drawn by uPlot. */
export function Chart({ times, series, format, label, height, least, group, onPoint }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const latest = useRef({ times, series, onPoint })
  latest.current = { times, series, onPoint }
  const shape = series.map(({ name, colour, kind }) => `${name} ${colour} ${kind}`).join()

  // Made anew when it is to look different: other series, other colours.
  // Data is given to it below.
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const make = () => {
      chart.current?.destroy()
      chart.current = new uPlot(options(element), dataOf(latest.current), element)
    }
    make()
    const resized = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    const recoloured = new MutationObserver(make)
    recoloured.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', make)
    return () => {
      resized.disconnect()
      recoloured.disconnect()
      scheme.removeEventListener('change', make)
      chart.current?.destroy()
      chart.current = undefined
    }
  }, [shape, height, least, group])

  useEffect(() => chart.current?.setData(dataOf({ times, series })), [times, series])

  return <div ref={place} class="chart" role="img" aria-label={label} style={{ height: `${height}px` }} />

  function options(element: HTMLElement): uPlot.Options {
    const axis = { stroke: colourOf(element, '--muted'), font: '12px system-ui, sans-serif', size: 28 }
    const grid = { stroke: colourOf(element, '--line'), width: 1 }
    return {
      width: element.clientWidth,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, sync: { key: group }, points: { size: 7 }, drag: { x: false, y: false } },
      // Half a bar more at both ends.
      scales: {
        x: { range: (_chart, min, max) => [min - BAR_S / 2, max + BAR_S / 2] },
        y: { range: (_chart, _min, max) => [0, Math.max(least, max * 1.1)] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          ticks: { show: false },
          space: 70,
          values: (_chart, at) => at.map((seconds) => timeOfDay(seconds * 1_000)),
        },
        { ...axis, size: 54, grid, ticks: { show: false }, space: 36, values: (_chart, at) => at.map(format) },
      ],
      series: [{}, ...latest.current.series.map((each) => seriesOptions(element, each))],
      hooks: { setCursor: [({ cursor }) => latest.current.onPoint?.(cursor.idx ?? undefined)] },
    }
  }
}

function seriesOptions(element: HTMLElement, { name, colour, kind }: ChartSeries): uPlot.Series {
  const stroke = colourOf(element, colour)
  const points = { show: false }
  const bars = uPlot.paths.bars?.({ size: [0.7, 12] })
  if (kind === 'bars') return { label: name, fill: stroke, width: 0, points, ...(bars && { paths: bars }) }
  return { label: name, stroke, width: 2, points, ...(kind === 'dashes' && { dash: [5, 4] }) }
}

function dataOf({ times, series }: { readonly times: readonly number[]; readonly series: readonly ChartSeries[] }) {
  return [times, ...series.map(({ values }) => values)] as uPlot.AlignedData
}

/** What a custom property comes to here: a canvas does not resolve them. */
function colourOf(element: HTMLElement, name: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${name})`
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
