/** Networks of containers that no rule of this host stands before: which they are, why, and what to do instead. */
import type { Container, Place, UnenforceableNic } from './endpoint.ts';
import type { Problem } from './problem.ts';

/** What decides how loud it is said. */
export interface Standing {
  /** Of its own, relative to the policy folder; `null`: none was written for this very container. */
  readonly policyFile: string | null;
  readonly strict: boolean;
}

/** `eth1 (macvlan on eth0)` */
export function nameUnenforceable({ nic, kind, link }: UnenforceableNic): string {
  switch (kind) {
    case 'host':
      return "the host's own network";
    case 'shared':
      return `the network of ${link ?? 'another'}`;
    case 'openvswitch':
      return `${nic} (veth on ${link}, which is no Linux bridge)`;
    case 'macvlan':
    case 'ipvlan':
    case 'vlan':
    case 'phys':
      return `${nic} (${kind}${link === undefined ? '' : ` on ${link}`})`;
  }
}

/** Why nothing of it can be filtered here, and what can be instead. */
export function whyUnenforceable({ kind, link }: UnenforceableNic): { readonly why: string; readonly instead: string } {
  const parent = link ?? 'its parent';
  const routed = 'give it lxc.net.N.type = veth without a link, which is routed and filtered here';
  switch (kind) {
    case 'host':
      return {
        why: "it SHARES THE HOST'S NETWORK: it has all of its addresses and interfaces, and may change its rules, routewall's too",
        instead: routed,
      };
    case 'shared':
      return {
        why: `it is in the network namespace of ${link ?? 'another'}: what it sends counts as sent by that one`,
        instead: `write the policy for that one, or take lxc.namespace.share.net out`,
      };
    case 'macvlan':
    case 'ipvlan':
      return {
        why: `its packets go between ${parent} and the container and never through this host's rules`,
        instead: `${routed}, or filter where ${parent} leads to`,
      };
    case 'vlan':
      return {
        why: `the VLAN of ${parent} is moved into the container, past this host's rules`,
        instead: `${routed}, or filter where ${parent} leads to`,
      };
    case 'phys':
      return {
        why: `the interface ${parent} itself is moved into the container, past this host's rules`,
        instead: `${routed}, or filter where ${parent} leads to`,
      };
    case 'openvswitch':
      return {
        // Another interface by mistake, and LXC says no more than that a program failed.
        why: `LXC hands it to Open vSwitch, which forwards its frames past this host's rules, or has no bridge ${parent} and it doesn't start`,
        instead: `${routed}, or filter by ovs-ofctl on ${parent}`,
      };
  }
}

/** One for each such network. A policy that was written for a container on the host's own network is always an error. */
export function unenforceableProblems(container: Container, standing: Standing): Problem[] {
  const { unenforceable = [], asksAtStart } = container;
  const { policyFile, strict } = standing;
  if (container.unconnected !== undefined)
    return unconnectedProblems(container.unconnected, standing, lateOf(strict, asksAtStart));
  return unenforceable.map((nic): Problem => {
    const { why, instead } = whyUnenforceable(nic);
    const policy = policyFile === null ? 'nothing is enforced' : `${policyFile} can't be enforced`;
    return {
      ...nic.place,
      column: 1,
      message: `${nameUnenforceable(nic)}: ${policy}, since ${why}; ${instead}${lateOf(strict, asksAtStart)}`,
      severity: strict || (nic.kind === 'host' && policyFile !== null) ? 'error' : 'warning',
    };
  });
}

/** What `strict` says is refused by the hook alone. */
const lateOf = (strict: boolean, asksAtStart: boolean | undefined): string =>
  strict && asksAtStart === false
    ? '; strict keeps it from no start, since it has no hook that asks routewall: lxc.hook.start-host = /usr/lib/routewall/hook'
    : '';

/** Harmless, but whoever wrote a policy believes that it does something. */
function unconnectedProblems(place: Place, { policyFile, strict }: Standing, late: string): Problem[] {
  if (policyFile === null) return [];
  const message = `empty network: ${policyFile} can't be enforced, since there is nothing but a loopback interface to enforce it on; give it lxc.net.N.type = veth without a link, which is routed and filtered here, or take the file away${late}`;
  return [{ ...place, column: 1, message, severity: strict ? 'error' : 'warning' }];
}
