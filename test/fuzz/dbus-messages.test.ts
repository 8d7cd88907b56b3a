/** Any message that the bus lets through is answered, or refused with an error that has a name; no other way out. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dispatch, type Methods } from '../../controller/dbus/dispatch.ts';
import { INTERFACE, METHODS, OBJECT_PATH, PROPERTIES, signatureOf } from '../../controller/dbus/interface.ts';
import { BusError, type BusMessage } from '../../watchers/system-bus.ts';
import { runs } from './seed.ts';

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''];
const word = (...known: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(fc.constantFrom(...known, ...NAMES), fc.string({ maxLength: 20 }));
const specs = Object.entries(METHODS);
const signatures = ['', 's', 'ss', 'ssv', ...specs.map(([, spec]) => signatureOf(spec.in))];

/** Of a type that D-Bus has, also where the signature says another. */
const value = fc.oneof(
  fc.string(),
  fc.constantFrom(INTERFACE, '', 'x'.repeat(5_000), Array<string>(10_001).fill('a'), ...Object.keys(PROPERTIES)),
  fc.integer(),
  fc.bigInt(),
  fc.boolean(),
  fc.array(fc.string()),
  fc.array(fc.array(fc.string())),
  fc.object(),
);

const messages: fc.Arbitrary<BusMessage> = fc.oneof(
  fc.record({
    sender: fc.constantFrom(':1.0', ':1.1'),
    path: word(OBJECT_PATH, '/', '/org'),
    interface: word(
      INTERFACE,
      ...['Introspectable', 'Peer', 'Properties'].map((name) => `org.freedesktop.DBus.${name}`),
    ),
    member: word(...Object.keys(METHODS), 'Introspect', 'Ping', 'Get', 'GetAll', 'Set'),
    signature: word(...signatures),
    body: fc.array(value, { maxLength: 6 }),
  }),
  // As it should be, but for the values.
  fc.constantFrom(...specs).chain(([member, spec]) =>
    fc.record({
      sender: fc.constantFrom(':1.0', ':1.1'),
      path: fc.constant(OBJECT_PATH),
      interface: fc.constantFrom(INTERFACE, ''),
      member: fc.constant(member),
      signature: fc.constant(signatureOf(spec.in)),
      body: fc.tuple(...spec.in.map(() => value)),
    }),
  ),
);

/** Root is `:1.0`. */
const userOf = async (sender: string): Promise<number> => (sender === ':1.0' ? 0 : 1_000);

it('is answered, or refused by name, and changes nothing for anyone but root', async () => {
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(messages, async (call) => {
      const done: string[] = [];
      const note = (name: string) => async (): Promise<string> => {
        done.push(name);
        return '{}';
      };
      const methods: Methods = {
        Status: note('Status'),
        List: note('List'),
        Check: note('Check'),
        Preview: note('Preview'),
        Compare: note('Compare'),
        Explain: note('Explain'),
        Apply: note('Apply'),
        Confirm: note('Confirm'),
        Rollback: note('Rollback'),
        Panic: note('Panic'),
        Admit: note('Admit'),
        Release: note('Release'),
      };
      const properties = () => ({
        ...{ Version: '1', Since: '', EnforcedAt: '' },
        ...{ ContainerCount: 0, EnforcedCount: 0, ProblemCount: 0, RepairCount: 0 },
      });
      const variant = (signature: string, held: unknown): unknown => [signature, held];
      try {
        await dispatch(call, { methods, properties, variant, userOf });
        answered += 1;
      } catch (cause) {
        if (!(cause instanceof BusError)) throw cause;
        expect(cause.errorName).toMatch(/^org\.(?:freedesktop\.DBus|routewall)\.Error\.\w+$/);
        expect(done).toEqual([]);
      }
      const changing = specs.filter(([, spec]) => spec.changes).map(([name]): string => name);
      if (call.sender !== ':1.0') expect(done.filter((name) => changing.includes(name))).toEqual([]);
    }),
    runs,
  );
  expect(answered).toBeGreaterThan(0);
});
