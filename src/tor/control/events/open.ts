/** One of the values known today, or any that a later Tor adds (control-spec 1.1). */
export type Open<Known extends string> = Known | (string & Record<never, never>)
