import { InputError } from './problems.ts'

/** An order has no fields; one that is sent all the same was meant for something. */
export function refuseBody(body: unknown): void {
  const isEmpty = body === undefined || (typeof body === 'object' && body !== null && Object.keys(body).length === 0)
  if (!isEmpty) throw new InputError([{ path: '', message: 'must be empty: this request has no fields' }])
}
