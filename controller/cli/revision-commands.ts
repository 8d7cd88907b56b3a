/** The commands that change what is in force, with their options. */
import type { Command } from 'commander';
import { type Act, example } from './command.ts';
import { honouring } from './honoured-options.ts';

export function addRevisionCommands(program: Command, act: Act): void {
  for (const add of [addApply, addConfirm, addRollback, addHistory]) add(program, act);
}

function addApply(program: Command, act: Act): void {
  honouring(program.command('apply'), {
    options: ['json'],
    instead: 'takes the files that the daemon serves, all of them',
  })
    .description(
      'put what the policy files say into force, and say what that changes; for good, or until it is confirmed',
    )
    .option('--confirm <TIME>', 'take it back after this time (60s, 5m) unless `routewall confirm` comes before')
    .addHelpText(
      'after',
      '\n--confirm needs `autoApply: false` in routewall.yaml: otherwise files come into force when they are saved, and nothing is\nleft to confirm. The daemon keeps the time, also across a crash and a reboot.',
    )
    .addHelpText('after', example('routewall apply --confirm 60s', 'routewall confirm'))
    .action((flags: { confirm?: string }) =>
      act(async (invocation) => (await import('./apply.ts')).runApply(invocation, { confirm: flags.confirm })),
    );
}

function addConfirm(program: Command, act: Act): void {
  honouring(program.command('confirm'), {
    options: ['json'],
    instead: 'keeps what the daemon has in force',
  })
    .description('keep what `apply --confirm` put into force')
    .addHelpText('after', example('routewall confirm'))
    .action(() => act(async (invocation) => (await import('./apply.ts')).runConfirm(invocation)));
}

function addRollback(program: Command, act: Act): void {
  honouring(program.command('rollback'), {
    options: ['json'],
    instead: 'takes a revision that the daemon has kept, all of it',
  })
    .description('go back to an earlier revision; without a number to the one before. The files stay as they are')
    .argument('[REVISION]', 'its number in `routewall history`')
    .addHelpText('after', '\nThe files are not followed again until they change, or `routewall apply` comes.')
    .addHelpText('after', example('routewall rollback', 'routewall rollback 6'))
    .action((number: string | undefined) =>
      act(async (invocation) => (await import('./apply.ts')).runRollback(invocation, number)),
    );
}

function addHistory(program: Command, act: Act): void {
  honouring(program.command('history'), {
    options: ['json'],
    instead: 'lists what the daemon has kept',
  })
    .description('the revisions of the policies: when, by whom, which files, what it opened and closed')
    .argument('[REVISION]', 'only this one, with its texts as a diff against those that were in force before it')
    .addHelpText(
      'after',
      example(
        'routewall history',
        'routewall history 6',
        'diff -r /var/lib/routewall/revisions/6/policies /etc/routewall',
      ),
    )
    .action((number: string | undefined) =>
      act(async (invocation) => (await import('./history.ts')).runHistory(invocation, number)),
    );
}
