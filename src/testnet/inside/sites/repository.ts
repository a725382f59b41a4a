import { createHash } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { type Exchange, type Routes, send } from './exchange.ts'

const FILES: Readonly<Record<string, string>> = {
  'LICENSE.txt': 'Nobody has rights in this.\n',
  'README.md': '# A repository\n\nIt is served inside the private Tor network.\n',
}

interface StoredObject {
  readonly id: string
  /** As git keeps it in a file of its own. */
  readonly file: Buffer
}

/** A git repository of one commit, as `git update-server-info` makes it ready for the "dumb" protocol: files, and nothing else. */
export function repositoryRoutes(): Routes {
  const blobs = Object.entries(FILES).map(([name, text]) => ({ name, object: store('blob', Buffer.from(text)) }))
  const entries = blobs.map(({ name, object }) =>
    Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(object.id, 'hex')]),
  )
  const tree = store('tree', Buffer.concat(entries))
  const who = 'CBTOR <nobody@cbtor.test> 1767225600 +0000'
  const commit = store('commit', Buffer.from(`tree ${tree.id}\nauthor ${who}\ncommitter ${who}\n\nBegin\n`))
  const objects = new Map([...blobs.map(({ object }) => object), tree, commit].map(({ id, file }) => [id, file]))
  return [
    [/^\/repository\.git\/HEAD$/, ({ response }) => send(response, 'text/plain', 'ref: refs/heads/main\n')],
    [
      /^\/repository\.git\/info\/refs$/,
      ({ response }) => send(response, 'text/plain', `${commit.id}\trefs/heads/main\n`),
    ],
    [
      /^\/repository\.git\/objects\/([0-9a-f]{2})\/([0-9a-f]{38})$/,
      ({ captured, response }: Exchange) => {
        const file = objects.get(captured.join(''))
        if (file === undefined) response.statusCode = 404
        send(response, 'application/x-git-loose-object', file ?? '')
      },
    ],
  ]
}

function store(type: 'blob' | 'tree' | 'commit', content: Buffer): StoredObject {
  const whole = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content])
  return { id: createHash('sha1').update(whole).digest('hex'), file: deflateSync(whole) }
}
