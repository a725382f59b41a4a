import { Button } from '../ui/button.tsx'
import { bytes, counted } from '../ui/text.ts'
import { bytesOf, fileNameOf, shownBody } from './body-text.ts'
import { TextBlock } from './text-block.tsx'

interface BodyViewProps {
  readonly url: string
  readonly body: string
  readonly encoding: 'text' | 'base64'
  /** How large it is, in bytes. */
  readonly size: number
  /** Whether the target had more of it. */
  readonly isTruncated?: boolean
}

/** What a target sent. Nothing of it is ever taken for a part of this page: it is text here, and a file for who wants more. */
export function BodyView({ url, body, encoding, size, isTruncated = false }: BodyViewProps) {
  const { text, leftOut } = shownBody(body, encoding)
  return (
    <div class="body-view">
      <p class="body-head">
        <strong>Body</strong> <span class="number">{bytes(size)}</span>
        {text === undefined && <span> of no text</span>}
        {leftOut > 0 && <span>, the last {counted(leftOut, 'character')} not shown</span>}
        {isTruncated && <span>; the target has more</span>}
        {size > 0 && (
          <Button kind="plain" onPress={() => saveFile(fileNameOf(url), bytesOf(body, encoding))}>
            Download as file
          </Button>
        )}
      </p>
      {text !== undefined && text !== '' && <TextBlock label="Body of the answer" text={text} />}
    </div>
  )
}

/** Of no type, so that no browser opens it. */
function saveFile(name: string, content: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([content], { type: 'application/octet-stream' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
