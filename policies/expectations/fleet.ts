/** A file of expectations about flows between any two ends, for `check --expect-file`. */
import { addressFrom, type Family } from '../../render/address.ts';
import type { CompileContext } from '../compile-context.ts';
import { compileRule } from '../compile-rule.ts';
import { firstUnknown } from '../flows/address-ranges.ts';
import { createLookups, type PolicySources } from '../lookups.ts';
import { parseContent } from '../parse-content.ts';
import type { Expectation as Written } from '../policy.gen.ts';
import { documentOf, type PolicyDocument, problemOf } from '../policy-document.ts';
import { isError, type Problem, uniqueProblems } from '../problem.ts';
import { type FileContent, maxStructuredBytes, readSourceText } from '../source-text.ts';
import { expectedFlows, verdictOf, wordsText } from './expectation.ts';
import { type FlowQuestion, type FoundFlow, findFlow } from './find-flow.ts';
import { decisionText, PAST, serviceText } from './judge-policy.ts';
import type { World } from './world.ts';

export interface CheckedExpectations {
  readonly problems: readonly Problem[];
  readonly count: number;
}

/** Every mistake of the file, and every expectation that some flow breaks. `file`: as problems show it. */
export function checkExpectations(
  file: string,
  content: FileContent,
  world: World,
  sources: PolicySources,
): CheckedExpectations {
  const source = readSourceText(content, maxStructuredBytes);
  if ('finding' in source) return { problems: [problemOf(file, source.finding)], count: 0 };
  const { data, places, findings } = parseContent(
    'expectations',
    source.text,
    file.endsWith('.json') ? 'json' : 'yaml',
  );
  const document = documentOf(file, { data: {}, places, findings });
  const problems: Problem[] = [...document.problems];
  const context = {
    ...sources,
    lookups: createLookups(sources),
    report: (problem: Problem) => void problems.push(problem),
  };
  const expected = data?.expect ?? [];
  for (const [index, written] of expected.entries()) {
    const before = problems.length;
    const questions = questionsOf(written, index, document, context, world);
    if (problems.slice(before).some(isError)) continue;
    const message = complaint(written, questions, world);
    if (message !== undefined) problems.push(document.problemAt(['expect', index], message));
  }
  return { problems: uniqueProblems(problems), count: expected.length };
}

function questionsOf(
  { from = 'any', to = 'any', comment: _, ...action }: Written,
  index: number,
  document: PolicyDocument,
  context: CompileContext,
  { facts }: World,
): FlowQuestion[] {
  const path = ['expect', index];
  const receivers = compileRule({ ...action, to }, path, document, context);
  const senders = compileRule({ ...action, from }, path, document, context);
  return ([4, 6] as const).map((family): FlowQuestion => {
    const { peers: destinations, services } = expectedFlows(receivers, family, facts.addresses);
    const { peers: sources } = expectedFlows(senders, family, facts.addresses);
    return { family, sources, destinations, services, expected: verdictOf(action) };
  });
}

function complaint(written: Written, questions: readonly FlowQuestion[], world: World): string | undefined {
  const verdict = verdictOf(written);
  const text = `${verdict} ${wordsText(written[verdict])} from ${wordsText(written.from)} to ${wordsText(written.to)}`;
  const found = questions.map((question) => findFlow(world, question));
  if (found.every((flow) => flow === 'nobody')) {
    return `${text}: no container is at either end, and routewall decides about no other flow`;
  }
  const flow = found.find((each) => typeof each === 'object');
  return typeof flow === 'object' ? `expected ${text}, but ${flowText(flow, world)}` : undefined;
}

/** `tcp/22 from 198.51.100.10 (web) to 192.0.2.7 is allowed by web.yaml:4:7 (allow tcp/22 to any)` */
function flowText({ family, source, destination, service, verdict, said }: FoundFlow, world: World): string {
  const ends = `from ${endText(source, family, world)} to ${endText(destination, family, world)}`;
  const decisive = verdict === 'allow' ? said : said.slice(-1);
  const by = decisive.flatMap((one) => {
    const party = world.ownerOf(one.direction === 'egress' ? source : destination, family);
    return party === undefined ? [] : [decisionText(one, party[one.direction])];
  });
  return `${serviceText(service, family)} ${ends} is ${PAST[verdict]} by ${by.join(' and ')}`;
}

function endText(address: bigint, family: Family, world: World): string {
  if (address >= firstUnknown(family)) return 'an address that a name stands for';
  const owner = world.ownerOf(address, family);
  return `${addressFrom(address, family)}${owner === undefined ? '' : ` (${owner.container})`}`;
}
