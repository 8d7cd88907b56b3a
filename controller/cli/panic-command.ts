/** The command that seals. */
import { Argument, type Command } from 'commander';
import { type Act, example } from './command.ts';
import { FILES, honouring } from './honoured-options.ts';

export function addPanic(program: Command, act: Act): void {
  honouring(program.command('panic'), {
    options: [...FILES, 'name', 'json'],
    instead: 'seals the live host',
  })
    .description('seal all containers, or those that -n names: nothing passes in or out until it is switched off')
    .addArgument(new Argument('<ON|OFF>', 'whether').choices(['on', 'off'] as const))
    .addHelpText(
      'after',
      '\nIn force when the command returns, with and without a running daemon; it survives a reload, a restart, a\ncrash and a reboot. Open connections are ended. Off restores what the policies say.',
    )
    .addHelpText('after', example('routewall panic on -n tinderbox', 'routewall panic off -n tinderbox'))
    .action((word: 'on' | 'off') =>
      act(async (invocation) => (await import('./panic.ts')).runPanic(invocation, { on: word === 'on' })),
    );
}
