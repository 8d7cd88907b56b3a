/** The commands that read what the ruleset has recorded, with their options. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Act, example } from './command.ts';
import { FILES, honouring } from './honoured-options.ts';

interface DenialsRaw {
  readonly follow?: boolean;
  readonly sort: 'recent' | 'packets';
  readonly limit: number;
}

export function addRecordingCommands(program: Command, act: Act): void {
  addDenials(program, act);
  addLearn(program, act);
}

function addDenials(program: Command, act: Act): void {
  honouring(program.command('denials'), {
    options: [...FILES, 'name', 'json', 'state'],
  })
    .description('what was refused within the last hour, by container, peer and service, and what refused it')
    .option('-f, --follow', 'print what is refused from now on, until Ctrl-C')
    .addOption(
      new Option('--sort <ORDER>', 'what comes first').choices(['recent', 'packets']).default('recent' as const),
    )
    .addOption(new Option('--limit <NUMBER>', 'rows at the most').argParser(parseLimit).default(50))
    .addHelpText(
      'after',
      "\nDirections: egress and ingress are a policy's; spoof: from an address that isn't the container's;\nguard: from an interface that no container claims. The rule is the one that decides by the policy in force now.",
    )
    .addHelpText('after', example('routewall denials -n tinderbox', 'routewall denials --follow'))
    .action((flags: DenialsRaw) =>
      act(async (invocation) => {
        const { runDenials } = await import('./denials.ts');
        return runDenials(invocation, { ...flags, follow: flags.follow === true });
      }),
    );
}

function addLearn(program: Command, act: Act): void {
  honouring(program.command('learn'), {
    options: [...FILES, 'name', 'json', 'state'],
  })
    .description('a policy that allows what a container did while it was observed (`mode: observe`); needs -n')
    .option('--diff', 'print what it changes in the present file, instead of the whole of it')
    .option('--refused', 'learn also from what was refused within the last hour')
    .addHelpText(
      'after',
      '\nWhat a rule refuses stays refused. What the proposal allows beyond what was seen stands in its comments.',
    )
    .addHelpText('after', example('routewall learn -n tinderbox', 'routewall learn -n tinderbox --diff'))
    .action((flags: { diff?: boolean; refused?: boolean }) =>
      act(async (invocation) => {
        const { runLearn } = await import('./learn.ts');
        return runLearn(invocation, { diff: flags.diff === true, refused: flags.refused === true });
      }),
    );
}

function parseLimit(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('a number from 1 on is wanted.');
  return Number(text);
}
