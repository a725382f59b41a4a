/**
 * Foreign text made safe to show in a message or a header: at most `limit` characters, each of them printable ASCII. What
 * is not becomes `?`, and `...` stands for what was cut off.
 */
export function printable(text: string, limit = 64): string {
  const shown = text.slice(0, limit).replace(/[^\x20-\x7e]/g, '?')
  return text.length > limit ? `${shown.slice(0, limit - 3)}...` : shown
}
