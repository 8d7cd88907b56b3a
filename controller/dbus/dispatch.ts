/** Answers the calls that reach us: the standard interfaces, and ours with every argument checked. */
import { readFile } from 'node:fs/promises';
import { BusError, type BusMessage, type BusReply } from '../../watchers/system-bus.ts';
import {
  INTERFACE,
  introspect,
  METHODS,
  type MethodName,
  OBJECT_PATH,
  PROPERTIES,
  type PropertyName,
  type PropertyValues,
  signatureOf,
} from './interface.ts';

export type ArgumentValue = string | number | boolean | readonly string[];

/** What the methods do; arguments have their declared types. The answer is the JSON text, or nothing. */
export type Methods = Readonly<Record<MethodName, (...args: readonly ArgumentValue[]) => Promise<string | undefined>>>;

export interface DispatchOptions {
  readonly methods: Methods;
  readonly properties: () => PropertyValues;
  readonly variant: (signature: string, value: unknown) => unknown;
  /** Of the sender, as the bus knows it. */
  readonly userOf: (sender: string) => Promise<number>;
}

const standard = (name: string): string => `org.freedesktop.DBus.Error.${name}`;
const NOTHING: BusReply = { signature: '', body: [] };

/** The longest word that means anything here is a path with a container's name. */
const MAX_TEXT = 4096;
const MAX_LIST = 10_000;
/** The bus cuts off who sends more than 32 MiB. */
const MAX_ANSWER = 31 * 1024 * 1024;

/** @throws BusError for what isn't offered, isn't allowed or isn't well-formed. */
export async function dispatch(call: BusMessage, options: DispatchOptions): Promise<BusReply> {
  switch (call.interface) {
    case 'org.freedesktop.DBus.Introspectable':
      return answerIntrospect(call);
    case 'org.freedesktop.DBus.Peer':
      return await answerPeer(call);
    case 'org.freedesktop.DBus.Properties':
      requireObject(call);
      return answerProperties(call, options);
    case INTERFACE:
    case '':
      requireObject(call);
      return await answerMethod(call, options);
    default:
      throw new BusError(standard('UnknownInterface'), `there is no interface ${call.interface}`);
  }
}

function requireObject({ path }: BusMessage): void {
  if (path !== OBJECT_PATH) throw new BusError(standard('UnknownObject'), `there is no object ${path}`);
}

const unknownMethod = ({ member }: BusMessage): BusError =>
  new BusError(standard('UnknownMethod'), `there is no method ${member}`);

function requireSignature({ member, signature }: BusMessage, expected: string): void {
  if (signature === expected) return;
  throw new BusError(standard('InvalidArgs'), `${member} takes "${expected}", not "${signature}"`);
}

function answerIntrospect(call: BusMessage): BusReply {
  if (call.member !== 'Introspect') throw unknownMethod(call);
  requireSignature(call, '');
  const xml = introspect(call.path);
  if (xml === undefined) throw new BusError(standard('UnknownObject'), `there is no object ${call.path}`);
  return { signature: 's', body: [xml] };
}

async function answerPeer(call: BusMessage): Promise<BusReply> {
  requireSignature(call, '');
  if (call.member === 'Ping') return NOTHING;
  if (call.member !== 'GetMachineId') throw unknownMethod(call);
  return { signature: 's', body: [(await readFile('/etc/machine-id', 'utf8')).trim()] };
}

function answerProperties(call: BusMessage, { properties, variant }: DispatchOptions): BusReply {
  const [iface, name] = call.body;
  switch (call.member) {
    case 'Get':
      requireSignature(call, 'ss');
      requireOurs(iface);
      return { signature: 'v', body: [toVariant(propertyNamed(name), properties(), variant)] };
    case 'GetAll':
      requireSignature(call, 's');
      requireOurs(iface);
      return { signature: 'a{sv}', body: [toVariants(propertyNames, properties(), variant)] };
    case 'Set':
      requireSignature(call, 'ssv');
      requireOurs(iface);
      throw new BusError(standard('PropertyReadOnly'), `${propertyNamed(name)} can only be read`);
    default:
      throw unknownMethod(call);
  }
}

/** The bus lets an empty name stand for any interface. */
function requireOurs(iface: unknown): void {
  if (iface !== INTERFACE && iface !== '') {
    throw new BusError(standard('UnknownInterface'), `there are no properties of ${String(iface)}`);
  }
}

export const propertyNames = Object.keys(PROPERTIES).filter((name): name is PropertyName =>
  Object.hasOwn(PROPERTIES, name),
);

function propertyNamed(name: unknown): PropertyName {
  const found = propertyNames.find((each) => each === name);
  if (found === undefined) throw new BusError(standard('UnknownProperty'), `there is no property ${String(name)}`);
  return found;
}

const toVariant = (name: PropertyName, values: PropertyValues, variant: DispatchOptions['variant']): unknown =>
  variant(PROPERTIES[name].type, values[name]);

export const toVariants = (
  names: readonly PropertyName[],
  values: PropertyValues,
  variant: DispatchOptions['variant'],
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(names.map((name) => [name, toVariant(name, values, variant)]));

async function answerMethod(call: BusMessage, { methods, userOf }: DispatchOptions): Promise<BusReply> {
  const name = methodNames.find((each) => each === call.member);
  if (name === undefined) throw unknownMethod(call);
  const spec = METHODS[name];
  requireSignature(call, signatureOf(spec.in));
  const args = call.body.map((value, index) => checkArgument(spec.in[index]?.name ?? '', value));
  if (spec.changes && (await userOf(call.sender)) !== 0) {
    throw new BusError(standard('AccessDenied'), `${name} is for root alone`);
  }
  const answer = await methods[name](...args);
  if (answer === undefined) return NOTHING;
  if (answer.length > MAX_ANSWER) throw new BusError('org.routewall.Error.TooLong', 'more than D-Bus carries');
  return { signature: signatureOf(spec.out), body: [answer] };
}

const methodNames = Object.keys(METHODS).filter((name): name is MethodName => Object.hasOwn(METHODS, name));

function checkArgument(name: string, value: unknown): ArgumentValue {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (isShortText(value)) return value;
  if (Array.isArray(value) && value.length <= MAX_LIST && value.every(isShortText)) return value;
  throw new BusError(standard('InvalidArgs'), `${name}: longer than ${MAX_TEXT} characters`);
}

const isShortText = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_TEXT;
