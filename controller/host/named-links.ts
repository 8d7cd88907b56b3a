/** Which link each veth is whose name a configuration fixes: the next one of that name is another. */
import type { Container, Endpoint } from '../../policies/endpoint.ts';
import { linkIdentity, type Runtime } from './container-runtime.ts';

interface Running {
  readonly lxcPath: string;
  readonly name: string;
  readonly container: Container;
  readonly runtime: Runtime;
}

export class NamedLinks {
  readonly #identities = new Map<string, string>();
  /** By container id, the keys of NICs whose links were left out. */
  readonly #replaced = new Map<string, { readonly known: Running; readonly keys: ReadonlySet<string> }>();

  /** Of the link that was found by this name. */
  readonly identityOf = (veth: string): string | undefined => this.#identities.get(veth);

  /** `isTold`: an event told of the container, so that links that it has no more may come back as others of the same name. */
  note({ container, runtime: before }: Running, runtime: Runtime, isTold: boolean): void {
    const has = new Set(runtime.veths.values());
    for (const veth of before.veths.values()) if (isTold && !has.has(veth)) this.#identities.delete(veth);
    for (const { key, fixedVeth } of container.endpoints) {
      const veth = runtime.veths.get(key);
      if (veth !== undefined && veth === fixedVeth && !this.#identities.has(veth))
        this.#identities.set(veth, linkIdentity(veth));
    }
  }

  /**
   * As it was found, but for links that only have the names of those that it had: what ran before has ended with these, which is
   * to be seen before what runs now. Left out until `takeReplaced`.
   */
  withoutReplaced(known: Running, found: Runtime): Runtime {
    const { container, runtime: before } = known;
    if (before === found) return found;
    const isReplaced = ({ key }: Endpoint): boolean => {
      const veth = found.veths.get(key);
      const link = veth !== undefined && before.veths.get(key) === veth ? this.#identities.get(veth) : undefined;
      return veth !== undefined && link !== undefined && linkIdentity(veth) !== link;
    };
    const keys = container.endpoints.filter(isReplaced).map(({ key }) => key);
    const replaced = new Set([...keys, ...(this.#replaced.get(container.id)?.keys ?? [])]);
    if (replaced.size === 0) return found;
    this.#replaced.set(container.id, { known, keys: replaced });
    return { ...found, veths: new Map([...found.veths].filter(([key]) => !replaced.has(key))) };
  }

  /** Those of which something was left out, and is to be read again. */
  takeReplaced(): Running[] {
    const replaced = [...this.#replaced.values()].map(({ known }) => known);
    this.#replaced.clear();
    return replaced;
  }
}
