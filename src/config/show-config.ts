import { Document, isCollection, isMap, isScalar } from 'yaml'
import { showPlace } from './config-error.ts'
import { effectiveFields, written } from './effective.ts'
import type { LoadedConfig } from './read-config.ts'

export interface ShownField {
  readonly field: string
  readonly value: unknown
  /** `default`, `/etc/cbtor.yaml:3:5`, `CBTOR_LISTEN`, `--listen`. */
  readonly from: string
}

/** What holds, field by field, and where it was said; secrets are struck out. What is nowhere said and has no default is left out. */
export function shownFields(loaded: LoadedConfig): readonly ShownField[] {
  return effectiveFields(loaded.config).flatMap((each) => {
    if (each.value === undefined) return []
    const { name: field, path } = each.field
    const place = loaded.placeOf(path)
    return [{ field, value: written(each), from: place === undefined ? 'default' : showPlace(place) }]
  })
}

/** The same as a file that says all of it, each line with where it comes from. */
export function showConfig(loaded: LoadedConfig): string {
  const document = new Document({})
  for (const { field, value, from } of shownFields(loaded)) {
    const path = field.split('.')
    document.setIn(path, document.createNode(value))
    const node = document.getIn(path, true)
    if (isScalar(node)) node.comment = ` ${from}`
    if (!isCollection(node)) continue
    const isLong = node.items.some(isMap)
    for (const item of node.items) if (isCollection(item)) item.flow = true
    node.flow = !isLong
    if (isLong) node.commentBefore = ` ${from}`
    else node.comment = ` ${from}`
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}
