import { Command } from 'commander'
import { createApiClient } from '../../client/client.ts'
import { readConfig } from '../../config/read-config.ts'
import { examine, isWell } from '../../doctor/doctor.ts'
import { judgeEgress } from '../../doctor/egress.ts'
import type { Finding, Verdict } from '../../doctor/finding.ts'
import { lookAtState, runProgram } from '../../doctor/machine.ts'
import { cgroupOf, processAt } from '../../doctor/service-process.ts'
import { probeEgress } from '../../egress/probe.ts'
import { tunnelsAtHand } from '../../tunnel/at-hand.ts'
import { type JsonFlags, type ServiceFlags, withState } from '../flags.ts'
import type { CliParts } from '../parts.ts'
import { keyAtHand } from '../service-client.ts'
import { configFlags } from '../state-directory.ts'
import { formatTable } from '../table.ts'
import { versionOf } from '../version.ts'
import { CGROUP, type RulesFlags, writeEgressRules } from './doctor-egress.ts'

interface DoctorFlags extends ServiceFlags, JsonFlags, RulesFlags {
  readonly egress?: true
  readonly egressRules?: true
}

const SHOWN: Readonly<Record<Verdict, string>> = {
  ok: 'ok',
  warning: 'warning',
  wrong: 'WRONG',
  unchecked: 'not checked',
}

export function doctorCommand(parts: CliParts): Command {
  return withState(new Command('doctor'), 'configuration file (YAML) of the service')
    .option('--api <url>', 'where the service listens, if not where the configuration says')
    .option('--json', 'as JSON')
    .option('--egress', 'only see whether the egress lock holds; to be run as the service is, in its unit')
    .option('--egress-rules', 'only write the rules of the egress lock, for nft')
    .option('--user <name>', 'with --egress-rules: lock all processes of a user, instead of a control group')
    .option('--cgroup <path>', `with --egress-rules: the control group of the service (default: ${CGROUP})`)
    .addHelpText(
      'after',
      '\nExit code 1 when something is wrong; warnings, and what could not be checked, do not count.\n' +
        '\nExamples:\n  cbtor doctor --config /etc/cbtor.yaml\n  sudo -u cbtor cbtor doctor --json',
    )
    .action(async (flags: DoctorFlags) => {
      if (flags.egressRules) writeEgressRules(flags, parts)
      else if (flags.egress) tell([judgeEgress(await probeEgress(parts), 'self', true)], flags, parts)
      else await runDoctor(flags, parts)
    })
}

async function runDoctor(flags: DoctorFlags, parts: CliParts): Promise<void> {
  const { clock, env, signal } = parts
  const findings = await examine(
    { readConfig: () => readConfig(configFlags(flags), env), api: flags.api },
    {
      clock,
      version: versionOf(),
      nodeVersion: process.versions.node,
      uid: process.getuid?.(),
      run: runProgram,
      lookAtState,
      processAt,
      cgroup: cgroupOf,
      probeEgress: () => probeEgress({ clock }),
      createApi: (baseUrl, certificate) =>
        createApiClient({ baseUrl, certificate, key: keyAtHand(baseUrl, flags, parts) }),
      tunnels: (state, until) => tunnelsAtHand({ state, clock }, until),
    },
    signal,
  )
  tell(findings, flags, parts)
}

/** Throws when something is wrong. */
function tell(findings: readonly Finding[], { json }: DoctorFlags, { out }: CliParts): void {
  out.write(json ? `${JSON.stringify(document(findings), null, 2)}\n` : `${text(findings)}\n`)
  const wrong = findings.filter(({ verdict }) => verdict === 'wrong')
  if (wrong.length === 0) return
  const count = wrong.length === 1 ? 'One thing is' : `${wrong.length} things are`
  throw new Error(`${count} wrong: ${[...new Set(wrong.map(({ name }) => name))].join(', ')}`)
}

function document(findings: readonly Finding[]) {
  const rows = findings.map(({ name, verdict, text, mend = null }) => ({ name, verdict, text, mend }))
  return { right: isWell(findings), findings: rows }
}

function text(findings: readonly Finding[]): string {
  const rows = findings.map(({ name, verdict, text }) => [SHOWN[verdict], name, text])
  const mends = findings.flatMap(({ name, mend }) => (mend === undefined ? [] : [`${name}: ${mend}`]))
  const table = formatTable(['', 'checked', 'seen'], rows)
  return mends.length === 0
    ? table
    : `${table}\n\nTo mend it:\n${[...new Set(mends)].map((each) => `  ${each}`).join('\n')}`
}
