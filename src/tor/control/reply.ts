import { ControlReplyError } from './errors.ts'

/**
 * One line of a reply or event (control-spec 2.3). Tor's bytes are not always UTF-8, so all text of the protocol is
 * kept as bytes: one character each, U+0000 to U+00FF (latin1).
 */
export interface ReplyLine {
  readonly code: number
  /** What follows the code and its separator. */
  readonly text: string
  /** The lines of the data block that follows, dots unstuffed and nothing trimmed; undefined without a block. */
  readonly data: readonly string[] | undefined
}

/** The answer to one command. One command (MAPADDRESS) mixes codes in its lines. */
export interface Reply {
  readonly lines: readonly ReplyLine[]
}

/** Sends one command line and gives Tor's reply to it, whatever its code. */
export interface CommandSender {
  send(line: string, signal: AbortSignal, onReply?: (reply: Reply) => void): Promise<Reply>
}

/** 2yz: the command was carried out. Not only 250: 251 and 252 are news of success too. */
export function isSuccess(line: ReplyLine): boolean {
  return line.code >= 200 && line.code < 300
}

/** Sends a command that is only of use when all of it succeeds; rejects with ControlReplyError otherwise. */
export async function request(
  control: CommandSender,
  line: string,
  signal: AbortSignal,
  onReply?: (reply: Reply) => void,
): Promise<Reply> {
  const reply = await control.send(line, signal, onReply)
  throwRefusal(line, reply)
  return reply
}

export function throwRefusal(command: string, reply: Reply): void {
  const refusals = reply.lines.filter((line) => !isSuccess(line))
  const [first] = refusals
  if (first === undefined) return
  const [keyword = ''] = command.split(' ', 1)
  throw new ControlReplyError(keyword, first.code, refusals.map((line) => line.text).join('; '))
}
