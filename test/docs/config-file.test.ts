/** The routewall.yaml that the package installs shows every key with its default. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import configSchema from '../../policies/config.schema.json' with { type: 'json' };
import { defaultConfig, parseConfig } from '../../policies/config.ts';

const text = readFileSync('packaging/root/etc/routewall/routewall.yaml', 'utf8');

test('each key of the schema stands there once', () => {
  const keys = [...text.matchAll(/^#(\w+):/gm)].map(([, key]) => key);
  expect(keys.sort()).toEqual(Object.keys(configSchema.properties).sort());
});

test('with its comments taken away it says what holds without it', () => {
  const shown = text.replace(/^#(?=\w+:)/gm, '');
  expect(parseConfig('routewall.yaml', shown)).toEqual({ config: defaultConfig, problems: [] });
});

test('each key within a key is named', () => {
  const within = Object.values(configSchema.properties).flatMap((part) =>
    'properties' in part ? Object.keys(part.properties) : [],
  );
  expect(within).toContain('hold');
  expect(within.filter((key) => !new RegExp(`\\b${key}\\b`).test(text))).toEqual([]);
});
