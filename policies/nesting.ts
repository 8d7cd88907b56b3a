/** How deep a YAML or JSON text is nested, before a parser that works by recursion sees it. */

/** A policy needs seven. */
const MOST = 100;

/**
 * An overflow of the stack can be caught, but not one that meets the engine while it compiles a regular expression: that
 * ends the whole process. Counts what could open a level, in quotes and texts too; a comment's brackets don't count.
 */
export function isNestedTooDeeply(text: string): boolean {
  let brackets = 0;
  const columns: number[] = [];
  for (const line of text.split(/[\r\n]+/)) {
    if (blockDepth(columns, line) > MOST) return true;
    for (const [bracket] of line.replace(/(?:^|\s)#.*/, '').matchAll(/[[\]{}]/g)) {
      brackets = bracket === '[' || bracket === '{' ? brackets + 1 : Math.max(0, brackets - 1);
      if (brackets > MOST) return true;
    }
  }
  return false;
}

/** Blocks are as deep as there are columns above in which one began: of a line, or of an indicator at its start (`- - a`). */
function blockDepth(columns: number[], line: string): number {
  const [indent = ''] = /^[ \t]*/.exec(line) ?? [];
  if (indent.length === line.length) return 0;
  while ((columns.at(-1) ?? -1) >= indent.length) columns.pop();
  const [indicators = ''] = /^(?:[-?:&!|>*%@"'][^\s]*[ \t]+)*/.exec(line.slice(indent.length)) ?? [];
  for (const { index } of indicators.matchAll(/[^ \t]+/g)) columns.push(indent.length + index);
  columns.push(indent.length + indicators.length);
  return columns.length;
}
