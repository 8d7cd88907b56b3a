/** What is offered on D-Bus: names, signatures and the introspection data that busctl and gdbus read. */

export const BUS_NAME = 'org.routewall.Controller1';
export const OBJECT_PATH = '/org/routewall/Controller1';
export const INTERFACE = 'org.routewall.Controller1';

interface Argument {
  readonly name: string;
  readonly type: string;
}

export interface MethodSpec {
  readonly in: readonly Argument[];
  readonly out: readonly Argument[];
  /** Whether it changes anything: then it is for root alone, whatever the bus's policy says. */
  readonly changes: boolean;
}

const text = (name: string): Argument => ({ name, type: 's' });
const CONTAINERS: Argument = { name: 'containers', type: 'as' };
const JSON_TABLE = [text('json')];

/**
 * Tables are one JSON string each, in the form that the command of the same name prints with `--json`, and with what its
 * text says besides: as D-Bus structs, 10,000 rows take the daemon 660 ms instead of 18. What was saved before a call is
 * in its answer.
 */
export const METHODS = {
  Status: { in: [], out: JSON_TABLE, changes: false },
  List: { in: [], out: JSON_TABLE, changes: false },
  // Of these containers alone; empty: of all, and of what belongs to none.
  Check: { in: [CONTAINERS], out: JSON_TABLE, changes: false },
  // `containers` chooses among the flows; the ruleset is compared whole.
  Preview: { in: [CONTAINERS], out: JSON_TABLE, changes: false },
  // The kernel against what is in force, whatever is saved; as `difference` of `routewall status --json`, with the backend.
  Compare: { in: [], out: JSON_TABLE, changes: false },
  // `family`: 4, 6, or 0 for both; `source`: what the sender takes for its address, or empty. A list of answers.
  Explain: {
    in: [text('from'), text('to'), text('service'), { name: 'family', type: 'u' }, text('source')],
    out: JSON_TABLE,
    changes: false,
  },
  // `confirm_seconds`: taken back unless confirmed by then; 0: for good. All three answer as `routewall apply --json`.
  Apply: { in: [{ name: 'confirm_seconds', type: 'u' }], out: JSON_TABLE, changes: true },
  Confirm: { in: [], out: JSON_TABLE, changes: true },
  // `revision`: 0 for the one before.
  Rollback: { in: [{ name: 'revision', type: 'u' }], out: JSON_TABLE, changes: true },
  // `containers`: by name; empty: all. In force when it answers, as `routewall panic --json` does.
  Panic: { in: [{ name: 'on', type: 'b' }, CONTAINERS], out: JSON_TABLE, changes: true },
  // `container`: a name, or its folder where several LXC paths have that name. `veth` may be empty, `init_pid` 0.
  Admit: { in: [text('container'), text('veth'), { name: 'init_pid', type: 'u' }], out: JSON_TABLE, changes: true },
  Release: { in: [text('container'), text('veth')], out: [], changes: true },
} as const satisfies Readonly<Record<string, MethodSpec>>;

export type MethodName = keyof typeof METHODS;

export const SIGNALS = {
  /** Its rules, routes and proxies came into force. */
  ContainerAdmitted: [text('container'), { name: 'veths', type: 'as' }],
  /** It asked to start and may not. */
  ContainerRefused: [text('container'), text('reason')],
  /** What runs got other rules. */
  PolicyApplied: [{ name: 'containers', type: 'as' }],
  /** What someone else changed was put back. */
  DriftRepaired: [{ name: 'lines', type: 'as' }],
  ProblemRaised: [text('severity'), text('problem')],
} as const satisfies Readonly<Record<string, readonly Argument[]>>;

export type SignalName = keyof typeof SIGNALS;

/** `const` never changes while the daemon runs; the others are told by PropertiesChanged. */
export const PROPERTIES = {
  Version: { type: 's', change: 'const' },
  Since: { type: 's', change: 'const' },
  EnforcedAt: { type: 's', change: 'true' },
  ContainerCount: { type: 'u', change: 'true' },
  EnforcedCount: { type: 'u', change: 'true' },
  ProblemCount: { type: 'u', change: 'true' },
  RepairCount: { type: 'u', change: 'true' },
} as const satisfies Readonly<Record<string, { readonly type: string; readonly change: 'const' | 'true' }>>;

export type PropertyName = keyof typeof PROPERTIES;

export type PropertyValues = Readonly<Record<PropertyName, string | number>>;

export const signatureOf = (types: readonly { readonly type: string }[]): string =>
  types.map(({ type }) => type).join('');

const argumentXml = ({ name, type }: Argument, direction?: 'in' | 'out'): string =>
  `<arg name="${name}" type="${type}"${direction === undefined ? '' : ` direction="${direction}"`}/>`;

const methodXml = ([name, spec]: [string, MethodSpec]): string =>
  `<method name="${name}">${spec.in.map((each) => argumentXml(each, 'in')).join('')}${spec.out
    .map((each) => argumentXml(each, 'out'))
    .join('')}</method>`;

const STANDARD = `<interface name="org.freedesktop.DBus.Introspectable"><method name="Introspect"><arg name="xml" type="s" direction="out"/></method></interface>
<interface name="org.freedesktop.DBus.Peer"><method name="Ping"/><method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method></interface>`;

const PROPERTIES_XML = `<interface name="org.freedesktop.DBus.Properties"><method name="Get"><arg name="interface" type="s" direction="in"/><arg name="property" type="s" direction="in"/><arg name="value" type="v" direction="out"/></method><method name="GetAll"><arg name="interface" type="s" direction="in"/><arg name="properties" type="a{sv}" direction="out"/></method><method name="Set"><arg name="interface" type="s" direction="in"/><arg name="property" type="s" direction="in"/><arg name="value" type="v" direction="in"/></method><signal name="PropertiesChanged"><arg name="interface" type="s"/><arg name="changed" type="a{sv}"/><arg name="invalidated" type="as"/></signal></interface>`;

function ownXml(): string {
  const methods = Object.entries<MethodSpec>(METHODS).map(methodXml);
  const signals = Object.entries<readonly Argument[]>(SIGNALS).map(
    ([name, args]) => `<signal name="${name}">${args.map((each) => argumentXml(each)).join('')}</signal>`,
  );
  const properties = Object.entries(PROPERTIES).map(
    ([name, { type, change }]) =>
      `<property name="${name}" type="${type}" access="read"><annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="${change}"/></property>`,
  );
  return `<interface name="${INTERFACE}">\n${[...methods, ...signals, ...properties].join('\n')}\n</interface>`;
}

const DOCTYPE =
  '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">';

/** Of our object and of the nodes above it; `undefined` for any other path. */
export function introspect(path: string): string | undefined {
  if (path === OBJECT_PATH) return `${DOCTYPE}\n<node>\n${STANDARD}\n${PROPERTIES_XML}\n${ownXml()}\n</node>\n`;
  const above = path === '/' ? '' : path;
  if (!OBJECT_PATH.startsWith(`${above}/`)) return undefined;
  const [child] = OBJECT_PATH.slice(above.length + 1).split('/');
  return `${DOCTYPE}\n<node>\n${STANDARD}\n<node name="${child}"/>\n</node>\n`;
}
