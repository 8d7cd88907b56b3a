/** How deep a YAML or JSON text is nested, before a parser that works by recursion sees it. */

/** A policy needs seven. */
const MOST = 100;
/** What may be a comment or lie in a quoted text, which only a parser can tell, is counted too; Node bears some 900. */
const MOST_WITH_COMMENTS = 250;

/**
 * An overflow of the stack can be caught, but not one that meets the engine while it compiles a regular expression: that
 * ends the whole process. Counts what could open a level, in quotes and texts too, and in comments up to a higher bound.
 */
export function isNestedTooDeeply(text: string): boolean {
  const outside = bracketDepth(MOST);
  const everywhere = bracketDepth(MOST_WITH_COMMENTS);
  const columns: number[] = [];
  for (const line of text.split(/[\r\n]+/)) {
    if (blockDepth(columns, line) > MOST) return true;
    if (outside(line.replace(/(?:^|\s)#.*/, '')) || everywhere(line)) return true;
  }
  return false;
}

/** Takes line by line, and says when there were more open ones than `most`. */
function bracketDepth(most: number): (line: string) => boolean {
  let depth = 0;
  return (line) => {
    for (const [bracket] of line.matchAll(/[[\]{}]/g)) {
      depth = bracket === '[' || bracket === '{' ? depth + 1 : Math.max(0, depth - 1);
      if (depth > most) return true;
    }
    return false;
  };
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
