import type { ApiClient } from '../client/api-client.ts'

/** What the tools need of the service, as its client has it: over a socket, or within the service itself. */
export type Gateway = Pick<ApiClient, 'fetch' | 'health' | 'newCircuits' | 'rotateSession'>
