import { z } from 'zod'
import { isSubnet } from '../lib/address-set.ts'
import { MAX_TARGET_RULES, targetRuleFault } from '../lib/target-rules.ts'

const network = z.string().refine(isSubnet, 'expected an address or a network, such as 203.0.113.0/24')

const port = z.int('expected a port').min(1, 'expected a port').max(65_535, 'expected a port')

const rule = z.string().superRefine((text, context) => {
  const fault = targetRuleFault(text)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
})

/** What may be reached through the workers. Keys have rules of their own, which can only take away. */
export const targetsSchema = z.strictObject({
  allow_reserved: z
    .array(network)
    .default([])
    .describe('Networks that may be reached although they are reserved.')
    .meta({ examples: [['203.0.113.0/24']] }),
  allow_ports: z
    .array(port)
    .default([])
    .describe('Ports that may be reached although they are never of the web.')
    .meta({ examples: [[25]] }),
  allow: z
    .array(rule)
    .max(MAX_TARGET_RULES)
    .default([])
    .describe(
      'Nothing but these may be reached: networks, hosts with all names below them, ports. Everything when left out.',
    )
    .meta({ examples: [['example.com', '198.41.0.0/24', ':443']] }),
  deny: z
    .array(rule)
    .max(MAX_TARGET_RULES)
    .default([])
    .describe('These may not be reached, whatever else allows them.')
    .meta({ examples: [['onion', ':8080']] }),
  ca_file: z
    .string()
    .min(1)
    .optional()
    .describe("Certificate authorities of targets to trust besides the system's, a PEM file.")
    .meta({ examples: ['/etc/cbtor/ca.pem'] }),
})
