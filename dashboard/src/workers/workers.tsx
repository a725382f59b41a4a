export function Workers() {
  return <p>…</p>
}
