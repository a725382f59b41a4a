/**
 * What stands in the place of the world when the pages' commands are run on the private network: [as it is written, what it becomes].
 * Everything else is run as it stands.
 */
export interface Stage {
  readonly api: string
  readonly http: string
  readonly socks: string
  /** A site that answers as check.torproject.org does, by https. */
  readonly check: string
  /** A site with pages, by https. */
  readonly www: string
  /** The host of an onion service. */
  readonly onion: string
  /** Where files of the system would be. */
  readonly etc: string
  /** The id of a key that may be revoked. */
  readonly keyId: string
  readonly chromium: string
  /** One that has an exit: on a busy machine the private network may begin without some. */
  readonly country: string
}

/** An address that is right as far as anybody can see without asking. */
export const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'

export function substitutions(stage: Stage): readonly (readonly [string | RegExp, string])[] {
  return [
    [/npm run (?:-s )?cbtor --/g, 'cbtor'],
    ['127.0.0.1:32211', stage.api],
    ['127.0.0.1:8118', stage.http],
    ['127.0.0.1:1080', stage.socks],
    ['https://check.torproject.org', stage.check],
    ['https://www.torproject.org', stage.www],
    [/https:\/\/example\.com(?=\/['" \n])/g, stage.www],
    ['https://github.com/…', `${stage.www}/repository.git`],
    [/…\.?onion/g, stage.onion],
    ['/etc/cbtor', stage.etc],
    ['7Kq2mXw0', stage.keyId],
    ['country-de', `country-${stage.country}`],
    ['node program.js', `node -e 'fetch("${stage.check}/api/ip").then((answer) => answer.text()).then(console.log)'`],
    // Whoever runs the tests may be root, whom Chromium does not take without; and its store does not know our authority.
    ["executablePath: '/usr/bin/chromium',", `executablePath: '${stage.chromium}', chromiumSandbox: false,`],
    ['browser.newContext({', 'browser.newContext({ ignoreHTTPSErrors: true,'],
  ]
}

export function substituted(text: string, stage: Stage): string {
  return substitutions(stage).reduce((result, [written, becomes]) => result.replaceAll(written, becomes), text)
}
