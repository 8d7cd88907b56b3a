/** What pages show of `check` and `explain` is what these say of the files that the pages show. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliBed, createCliBed, LINKS } from '../controller/cli/cli-bed.ts';
import { parsePage, type Step } from '../debian/page.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createCliBed();
});
afterEach(() => bed.remove());

const WEB = '# as docs/nat.md takes it for granted\nlxc.net.0.type = veth\nlxc.net.0.ipv4.address = 198.51.100.10/32\n';

function stepsOf(page: string, title?: string): readonly Step[] {
  const text = readFileSync(page, 'utf8');
  const part = title === undefined ? text : text.split(/^## /m).find((each) => each.startsWith(`${title}\n`));
  return parsePage(part ?? '');
}

const shownBy = (steps: readonly Step[], command: string): Step => {
  const found = steps.find(({ name }) => name.startsWith(`routewall ${command}`));
  if (found === undefined) throw new Error(`no block shows ${command}`);
  return found;
};

/** The page's files, and a host on which the container runs. */
function lay(steps: readonly Step[], container: string): void {
  for (const { kind, name, text } of steps) {
    if (kind === 'file') bed.write(name.replace('/etc/routewall/', 'pol/').replace('/var/lib/lxc/', 'lxc/'), text);
  }
  const containers = { [container]: { state: 'RUNNING', veths: { 0: 'vethX' } } };
  bed.write('state.json', JSON.stringify({ containers, links: LINKS }));
}

async function say({ name }: Step): Promise<string> {
  const { out } = await bed.rw(name.replace('routewall ', ''));
  return out
    .replaceAll('pol/containers/', '/etc/routewall/containers/')
    .replaceAll(`${bed.folder}/lxc/`, '/var/lib/lxc/');
}

test('README.md: the first policy', async () => {
  const steps = stepsOf('README.md', 'A first policy');
  lay(steps, 'tinderbox');
  const [check, explain] = [shownBy(steps, 'check'), shownBy(steps, 'explain')];
  expect(await say(explain)).toBe(explain.text);
  const mistaken = steps.map((step) => ({ ...step, text: step.text.replace('squid]', 'squids]') }));
  lay(mistaken, 'tinderbox');
  expect(await say(check)).toBe(check.text);
});

test('docs/nat.md: a published port', async () => {
  const steps = stepsOf('docs/nat.md');
  bed.write('lxc/web/config', WEB);
  lay(steps, 'web');
  const explain = shownBy(steps, 'explain');
  expect(await say(explain)).toBe(explain.text);
});
