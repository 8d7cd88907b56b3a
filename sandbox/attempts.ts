/** Attempted connections: what happened, beside what `routewall explain` says. */
import { HOST_ADDRESSES, INTERNET } from './host.ts';
import { tellRow, tellTableHead } from './narrate.ts';
import type { Place } from './place.ts';
import { type Explanation, explain } from './routewall.ts';
import { addressOf, type ContainerName, type Scene } from './scene.ts';
import { type Outcome, probe, type Target } from './services.ts';

type Party = ContainerName | 'host' | 'internet';

export interface Attempt {
  readonly from: Party;
  readonly to: Party;
  /** As in a policy, with an exact port: `tcp/80`, `icmp/echo-request`. */
  readonly service: string;
  readonly family: 4 | 6;
}

interface Finding {
  readonly attempt: Attempt;
  readonly outcome: Outcome;
  readonly explanation: Explanation;
}

const OUTCOME_OF = { allow: 'allowed', drop: 'dropped', reject: 'refused' } as const;
/** Long enough to see a refusal by ICMP, see `Target.timeout`. */
const PATIENCE = 1_500;
/** Each explanation is a process of its own. */
const AT_ONCE = 4;

export const attempt = (from: Party, to: Party, service: string, family: 4 | 6 = 4): Attempt => ({
  from,
  to,
  service,
  family,
});

/** Tries all, prints a row for each in order, as soon as it is known; the number of rows that disagree. */
export async function tryAll(scene: Scene, attempts: readonly Attempt[]): Promise<number> {
  tellTableHead();
  let wrong = 0;
  for (let next = 0; next < attempts.length; next += AT_ONCE) {
    const findings = await Promise.all(attempts.slice(next, next + AT_ONCE).map((attempt) => tryOne(scene, attempt)));
    for (const finding of findings) if (!tellFinding(finding)) wrong += 1;
  }
  return wrong;
}

async function tryOne(scene: Scene, attempt: Attempt): Promise<Finding> {
  const { from, to, service, family } = attempt;
  const { installation } = scene;
  const asked = { from: peerOf(from, family), to: peerOf(to, family), service };
  const [explanation, outcome] = await Promise.all([
    explain(installation, asked),
    placeOf(scene, from).then((place) => probe(place, targetOf(attempt))),
  ]);
  return { attempt, outcome, explanation };
}

function tellFinding({ attempt: { from, to, service, family }, outcome, explanation }: Finding): boolean {
  const agrees = outcome === OUTCOME_OF[explanation.verdict];
  const why = agrees ? explanation.reason : `explain says ${explanation.verdict}: ${explanation.reason}`;
  tellRow([from, to, `${service} IPv${family}`, outcome, why], { outcome, agrees });
  return agrees;
}

/** As `explain` takes it; by address in IPv6, since a name would be asked for in IPv4. */
function peerOf(party: Party, family: 4 | 6): string {
  if (party === 'internet') return internetAddress(family);
  if (family === 6) return addressOfParty(party, family);
  return party === 'host' ? 'host' : `container:${party}`;
}

function targetOf({ from, to, service, family }: Attempt): Target {
  const address = addressOfParty(to, family);
  // A namespace with several addresses shall use the one that was asked about.
  const source =
    from === 'internet' || (from === 'host' && family === 6) ? { source: addressOfParty(from, family) } : {};
  const [protocol, port] = service.split('/');
  if (protocol === 'tcp' || protocol === 'udp') {
    return { protocol, to: address, port: Number(port), timeout: PATIENCE, ...source };
  }
  return { protocol: 'icmp', to: address, timeout: 1_000, ...source };
}

export function addressOfParty(party: Party, family: 4 | 6): string {
  if (party === 'internet') return internetAddress(family);
  if (party !== 'host') return addressOf(party, family);
  return HOST_ADDRESSES[family === 4 ? 0 : 1].replace(/\/.*/, '');
}

const internetAddress = (family: 4 | 6): string => INTERNET[family === 4 ? 0 : 1];

async function placeOf({ bed, containers }: Scene, party: Party): Promise<Place> {
  if (party === 'host') return bed.host;
  return party === 'internet' ? bed.outside : await containers[party].inside();
}
