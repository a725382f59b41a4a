/** Whether bytes are of something else than text, as curl decides it. */
export function holdsBinary(bytes: Uint8Array): boolean {
  return bytes.includes(0)
}

/** Foreign text for a terminal: what would give it orders is shown instead of obeyed, as `\x1b`. Lines and tabs stay. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
