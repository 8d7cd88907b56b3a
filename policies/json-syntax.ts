/** Whether a text that YAML accepts is JSON as well, and where it stops being it. */
import { type Document, isMap, isScalar, isSeq, type Node, visit } from 'yaml';

export interface JsonMistake {
  readonly offset: number;
  readonly message: string;
}

const literal = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/;

/** `document` is what the YAML parser made of the text; `undefined` where all is well. */
export function findJsonMistake(text: string, document: Document.Parsed): JsonMistake | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { offset: mistakeOffset(text, document, error), message: messageOf(error) };
  }
}

/** Node names the offset in some of its messages only; the others are about a token that YAML takes and JSON doesn't. */
function mistakeOffset(text: string, { contents, errors }: Document.Parsed, error: SyntaxError): number {
  const named = /position (\d+)/.exec(error.message)?.[1];
  if (named !== undefined) return Number(named);
  return errors[0]?.pos[0] ?? firstYamlOnly(contents) ?? text.trimEnd().length;
}

function firstYamlOnly(root: Node | null): number | undefined {
  let found: number | undefined;
  visit(root, (_key, node) => {
    const yamlOnly =
      (isScalar(node) && node.type !== 'QUOTE_DOUBLE' && !literal.test(node.source ?? '')) ||
      ((isMap(node) || isSeq(node)) && node.flow !== true);
    if (!yamlOnly) return undefined;
    found = node.range?.[0];
    return visit.BREAK;
  });
  return found;
}

function messageOf({ message }: SyntaxError): string {
  const why = message.replace(/ in JSON at position.*|, (\.{3})?".*is not valid JSON$/s, '');
  return `not valid JSON: ${why.charAt(0).toLowerCase()}${why.slice(1)}`;
}
