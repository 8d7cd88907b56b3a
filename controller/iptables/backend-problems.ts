/** What containers ask for that iptables can't enforce, as problems of the lines that ask. */
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { Container } from '../../policies/endpoint.ts';
import { policyPath } from '../../policies/policy-files.ts';
import type { Problem } from '../../policies/problem.ts';
import { isNameable } from '../../render/iptables/xt-names.ts';
import { unsayableRule } from '../../render/iptables/xt-policy.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { Origin } from '../../render/rule.ts';

export function backendProblems(
  { endpoints, file: configuration }: Container,
  policy: CompiledPolicy | undefined,
): Problem[] {
  return [
    ...endpoints.flatMap(({ attachment, nic, fixedVeth }) => [
      ...(attachment === undefined
        ? []
        : [configured(configuration, `NIC ${nic} hangs on a bridge and ${NEEDS}: nothing of its policy is enforced`)]),
      ...(fixedVeth === undefined || isNameable(fixedVeth) ? [] : [configured(configuration, unnameable(fixedVeth))]),
    ]),
    ...(policy === undefined ? [] : policyProblems(policy)),
  ];
}

function policyProblems(policy: CompiledPolicy): Problem[] {
  const nics = [policy.default, ...policy.interfaces.values()];
  const [published] = policy.nat?.publications ?? [];
  return [
    ...told(policy.nat?.masqueradeOrigin, 'masquerade'),
    ...told(published?.origin, 'publish'),
    ...nics.flatMap(({ uplink }) => told(uplink?.origin, 'uplink')),
    ...nics.flatMap(({ egress, ingress }) =>
      [egress, ingress].flatMap((chain) => {
        const found = unsayableRule(chain);
        return found === undefined ? [] : [problemAt(found.origin, `${found.why}: ${SHUT}`)];
      }),
    ),
  ];
}

/** Why nothing but that it is shut can be said of an interface. */
export const unnameable = (veth: InterfaceName): string =>
  `iptables can't name the interface ${veth}, so nothing passes: give it another name with lxc.net.N.veth.pair`;

const NEEDS = 'needs nftables, and the backend is iptables';
const SHUT = 'the interface gets nothing';

const told = (origin: Origin | undefined, what: string): Problem[] =>
  origin === undefined ? [] : [problemAt(origin, `${what} ${NEEDS}: ${SHUT}`)];

const configured = (file: string, message: string): Problem => ({
  ...{ file, line: 1, column: 1, message, severity: 'error' },
});

const problemAt = ({ file, line, column = 1 }: Origin, message: string): Problem => ({
  ...{ file: policyPath(file), line, column, message, severity: 'error' },
});
