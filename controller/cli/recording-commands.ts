/** The commands that read what the ruleset has recorded. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Act, example } from './command.ts';

interface DenialsRaw {
  readonly follow?: boolean;
  readonly sort: 'recent' | 'packets';
  readonly limit: number;
}

export function addDenials(program: Command, act: Act): void {
  program
    .command('denials')
    .description('what was refused within the last hour, by container, peer and service; asks the kernel alone')
    .option('-f, --follow', 'print what is refused from now on, until Ctrl-C')
    .addOption(
      new Option('--sort <ORDER>', 'what comes first').choices(['recent', 'packets']).default('recent' as const),
    )
    .addOption(new Option('--limit <NUMBER>', 'rows at the most').argParser(parseLimit).default(50))
    .addHelpText(
      'after',
      "\nDirections: egress and ingress are a policy's; spoof: from an address that isn't the container's;\nguard: from an interface that no container claims.",
    )
    .addHelpText('after', example('routewall denials -n tinderbox', 'routewall denials --follow'))
    .action((flags: DenialsRaw) =>
      act(async (invocation) => {
        const { runDenials } = await import('./denials.ts');
        return runDenials(invocation, { ...flags, follow: flags.follow === true });
      }),
    );
}

function parseLimit(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('a number from 1 on is wanted.');
  return Number(text);
}
