/** The command that prints what would be enforced. */
import { type Command, Option } from 'commander';
import { type Act, example } from './command.ts';
import { FILES, honouring } from './honoured-options.ts';
import { BACKENDS, type RenderOptions, WHAT } from './render-options.ts';

export function addRender(program: Command, act: Act): void {
  honouring(program.command('render'), {
    options: [...FILES, 'name', 'json', 'state'],
    isOffline: true,
  })
    .description('the rules and the ip batch that follow from the files, as text')
    .addOption(new Option('--what <WHAT>', 'which part; nft: the rules, for nftables').choices(WHAT).default('all'))
    .addOption(
      new Option('--backend <NAME>', 'for which backend; auto: as configured').choices(BACKENDS).default('auto'),
    )
    .addHelpText(
      'after',
      example(
        'routewall render --state host.json',
        'routewall render --what nft | nft -c -f -',
        'routewall render --what rules --backend iptables',
      ),
    )
    .action((options: RenderOptions) =>
      act(async (invocation) => (await import('./render.ts')).runRender(invocation, options)),
    );
}
