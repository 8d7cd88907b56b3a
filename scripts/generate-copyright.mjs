// Writes debian/copyright: our own licence, and that of every library of which the bundle holds a part.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundledFolders } from './bundles.mjs';

/** Texts that every Debian system has. */
const COMMON = { 'Apache-2.0': '/usr/share/common-licenses/Apache-2.0' };

/** @param {string} root @param {{ outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }> }} metafile */
export async function renderCopyright(root, metafile) {
  const libraries = await Promise.all(bundledFolders(metafile).map((folder) => readLibrary(root, folder)));
  return `${[HEAD, ...libraries.map(renderLibrary), OWN].join('\n\n')}\n`;
}

async function readLibrary(root, folder) {
  const { name, version, license, licenses, author, repository } = JSON.parse(
    await readFile(join(root, folder, 'package.json'), 'utf8'),
  );
  const file = (await readdir(join(root, folder))).find((entry) => /^(licen[cs]e|copying)(\.\w+)?$/i.test(entry));
  const text = file === undefined ? '' : await readFile(join(root, folder, file), 'utf8');
  const id = (typeof license === 'string' ? license : (license ?? licenses?.[0])?.type) ?? recognise(text);
  if (id === undefined) throw new Error(`${folder}: neither package.json nor a text says its licence`);
  const writer = typeof author === 'string' ? author : (author?.name ?? name);
  const lines = [...text.matchAll(/^\W*copyright\s+((?:\(c\)|©|\d{4}).*)$/gim)].map((match) => match[1].trim());
  const holders = lines.length > 0 ? lines.map((line) => line.replace(/^(\(c\)|©)\s*/i, '')) : [writer];
  return { folder, name, version, id, text: text.trim(), holders, source: sourceOf(repository, name) };
}

/** For a package that holds the text and doesn't name it. */
const recognise = (text) =>
  /Apache License\s+Version 2\.0/.test(text)
    ? 'Apache-2.0'
    : /^Permission is hereby granted, free of charge/m.test(text)
      ? 'MIT'
      : undefined;

function sourceOf(repository, name) {
  const url = typeof repository === 'string' ? repository : (repository?.url ?? name);
  return url
    .replace(/^git\+/, '')
    .replace(/\.git$/, '')
    .replace(/^(?:github:)?([\w.-]+\/[\w.-]+)$/, 'https://github.com/$1');
}

/** A licence's text under the library's own short name, since the copyright line within differs. */
function renderLibrary({ folder, name, version, id, text, holders, source }) {
  const common = COMMON[id];
  const short =
    common === undefined ? `${id}~${`${name}-${version}`.replace(/[^\w.+-]+/g, '-').replace(/^-/, '')}` : id;
  const head = [`Files: ${folder}/*`, `Copyright: ${holders.join('\n           ')}`, `License: ${short}`];
  const body =
    common === undefined ? quote(text === '' ? `The package states the licence ${id} and holds no text.` : text) : [];
  return [...head, ...body, `Comment: the part that is ${name} ${version}, from ${source}`].join('\n');
}

const quote = (text) => text.split('\n').map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`));

const HEAD = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: routewall
Comment: The program /usr/lib/routewall/routewall.mjs holds with its parts/ routewall
 and, of each library named below by its folder in the source tree, what it uses.
 .
 /usr/lib/routewall/graphviz.mjs holds @hpcc-js/wasm-graphviz, and in it, compiled
 to WebAssembly and unchanged, Graphviz (Eclipse Public License 1.0, its text at
 https://www.eclipse.org/legal/epl-v10.html, its source at
 https://gitlab.com/graphviz/graphviz) and Expat (Expat licence).

Files: *
Copyright: 2026 the routewall authors
License: Apache-2.0`;

const OWN = `License: Apache-2.0
 On Debian systems the text of the Apache License, Version 2.0, is in
 ${COMMON['Apache-2.0']}.`;
