import type { ReadStream, WriteStream } from 'node:tty'

/** A terminal that a program has for itself. */
export interface Terminal {
  readonly columns: number
  readonly rows: number
  write(text: string): void
  /** Gives the program the whole screen and each key as it is pressed. Disposed, the terminal is as it was, also when the process ends otherwise. */
  take(on: { key(key: string): void; resize(): void }): Disposable
}

/** Another screen than that of the shell, no cursor, no line that wraps. */
const TAKE = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J'
const GIVE_BACK = '\x1b[?7h\x1b[?25h\x1b[?1049l'

export function systemTerminal(input: ReadStream, output: WriteStream): Terminal {
  return {
    get columns() {
      return output.columns
    },
    get rows() {
      return output.rows
    },
    write: (text) => void output.write(text),
    take({ key, resize }) {
      const onData = (text: string) => {
        for (const each of keysOf(text)) key(each)
      }
      const giveBack = () => {
        output.write(GIVE_BACK)
        input.setRawMode(false)
      }
      process.once('exit', giveBack)
      input.setRawMode(true)
      input.setEncoding('utf8').on('data', onData).resume()
      output.on('resize', resize).write(TAKE)
      return {
        [Symbol.dispose]() {
          process.off('exit', giveBack)
          output.off('resize', resize)
          input.off('data', onData).pause()
          giveBack()
        },
      }
    },
  }
}

const NAMES: Readonly<Record<string, string>> = {
  '\x03': 'ctrl-c',
  '\r': 'enter',
  '\x1b': 'escape',
  '\x1b[A': 'up',
  '\x1b[B': 'down',
  '\x1b[C': 'right',
  '\x1b[D': 'left',
  '\x1bOA': 'up',
  '\x1bOB': 'down',
  '\x1bOC': 'right',
  '\x1bOD': 'left',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
}

/** The keys that were pressed: a letter each, or the name of another one. Sequences that have no name are left out. */
export function keysOf(text: string): readonly string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals send them
  return [...text.matchAll(/\x1b(?:\[[\d;]*[A-Za-z~]|O[A-Z])?|[\s\S]/gu)].flatMap(([key]) => {
    const name = NAMES[key]
    return name !== undefined ? [name] : key.length === 1 && key >= ' ' ? [key] : []
  })
}
