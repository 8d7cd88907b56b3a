/** What an import makes: files of a policy folder, and findings about what they can't say. */
import { Document, isScalar, visit } from 'yaml';
import type { Direction } from '../../render/rule.ts';
import type { Finding } from '../source-text.ts';
import type { SaidRule } from './say-rule.ts';

export interface ImportedSection {
  /** A profile leaves it to the policy. */
  readonly default?: 'allow' | 'drop' | 'reject';
  readonly log: boolean;
  readonly rules: readonly SaidRule[];
}

export type ImportedPolicy = Readonly<Record<Direction, ImportedSection>> & {
  /** By index: what one NIC has instead. */
  readonly interfaces: ReadonlyMap<string, Partial<Readonly<Record<Direction, ImportedSection>>>>;
};

export interface Imported {
  /** `undefined` where the file holds none: it is the cluster's, or can't be read at all. */
  readonly policy: ImportedPolicy | undefined;
  /** By name: rules that policies share. */
  readonly profiles: ReadonlyMap<string, ImportedPolicy>;
  /** By name: addresses, prefixes and ranges. */
  readonly sets: ReadonlyMap<string, readonly string[]>;
  /** In the order of the lines; errors where something is refused that passed, warnings where less is allowed. */
  readonly findings: readonly Finding[];
}

/** The whole file, with where it comes from in its first line. */
export function renderImportedPolicy(policy: ImportedPolicy, source: string): string {
  const interfaces = [...policy.interfaces].map(([nic, sections]) => [nic, renderSections(sections)] as const);
  const document = {
    ...renderSections(policy),
    ...(interfaces.length === 0 ? {} : { interfaces: Object.fromEntries(interfaces) }),
  };
  // Rules that every NIC has are one object each, and policies know no aliases.
  const yaml = new Document(document, { aliasDuplicateObjects: false });
  visit(yaml, {
    Seq: (_, node) => {
      node.flow = node.items.every(isScalar);
    },
  });
  return `# Imported from ${oneLine(source)}\n${yaml.toString({ lineWidth: 120 })}`;
}

export const renderImportedSet = (entries: readonly string[], source: string): string =>
  `# Imported from ${oneLine(source)}\n${entries.map((entry) => `${entry}\n`).join('')}`;

const oneLine = (text: string): string => text.replace(/\p{Cc}/gu, '?');

type Sections = Partial<Readonly<Record<Direction, ImportedSection>>>;

const renderSections = ({ egress, ingress }: Sections): Record<string, unknown> => ({
  ...(egress === undefined ? {} : { egress: renderSection(egress) }),
  ...(ingress === undefined ? {} : { ingress: renderSection(ingress) }),
});

const renderSection = ({ default: verdict, log, rules }: ImportedSection): Record<string, unknown> => ({
  ...(verdict === undefined ? {} : { default: verdict }),
  ...(log ? { log: true } : {}),
  ...(rules.length === 0 ? {} : { rules }),
});
