/** Anchors of a page's headings, as GitHub makes them, so that a link leads to the same place here and there. */
export class Slugs {
  readonly #used = new Map<string, number>()

  /** `heading`: its text, without marks. One that comes again gets a number. */
  of(heading: string): string {
    const slug = heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-')
    const before = this.#used.get(slug)
    this.#used.set(slug, (before ?? -1) + 1)
    return before === undefined ? slug : `${slug}-${before + 1}`
  }
}
