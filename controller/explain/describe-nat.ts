/** The translations of a NIC in words. */
import { shownPorts } from '../../policies/compile-nat.ts';
import type { NicNat } from '../../render/translation.ts';

/** `masqueraded as 192.0.2.7`, `192.0.2.1 tcp/8080 to tcp/80` */
export function describeNat({ masquerade, publications }: NicNat): string[] {
  const masked = ([4, 6] as const).flatMap((family) => {
    const as = masquerade[family];
    if (as === undefined) return [];
    return [as.kind === 'address' ? `masqueraded as ${as.address}` : `masqueraded in IPv${family}`];
  });
  const published = publications.map(({ protocol, on, ports, toPort }) => {
    const own = { protocol, ports: { first: toPort, last: toPort + ports.last - ports.first } };
    return `${on} ${shownPorts({ protocol, ports })} to ${shownPorts(own)}`;
  });
  return [...masked, ...published];
}
