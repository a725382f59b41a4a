import type { CheckEndpoint } from './check-plan.ts'

/** The six sites of the original description ("Test Endpoints (.onion sites)"). */
export const ONION_TEST_SITES: readonly CheckEndpoint[] = [
  site('DuckDuckGo', 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'),
  site('ProPublica', 'p53lf57qovyuvwsc6xnrppyply3vtqm7l6pcobkmyqsiofyeznfu5uqd.onion'),
  site('BBC News', 'bbcnewsd73hkzno2ini43t4gblxvycyac5aw4gnv7t2rccijh7745uqd.onion'),
  site('ProtonMail', 'protonmailrmez3lotccipshtkleegetolb73fuirgj7r4o4vfu7ozyd.onion'),
  site('Riseup', 'vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion'),
  site('Archive.org', 'archiveiya74codqgiixo33q62qlrqtkgmcitqx5u2oeqnmn5bpcbiyd.onion'),
]

function site(name: string, host: string): CheckEndpoint {
  return { name, url: `http://${host}/` }
}
