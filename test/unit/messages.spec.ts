/**
 * Every message of an error, from the sources. For a review of all of them, set MESSAGES_FILE: the list is written there.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';

const root = new URL('../../', import.meta.url);

const failures = new Set([
  'InvalidInput',
  'Unauthenticated',
  'Forbidden',
  'NotFound',
  'Conflict',
  'Gone',
  'OverLimit',
  'Unavailable',
  'TimedOut',
  'UnsupportedMediaType',
  'ProviderFailure',
]);

interface Message {
  readonly file: string;
  readonly text: string;
}

const files = ['apps/api/src', 'apps/worker/src', 'libs'].flatMap((folder) =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'))
    .map((name) => `${folder}/${name}`),
);

/** @returns the first argument of each `new Failure(…)` that is written as text. `…` stands for what is filled in. */
function listMessages(file: string): Message[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(new URL(file, root), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const found: Message[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && failures.has(node.expression.text)) {
      const [message] = node.arguments ?? [];
      const text = message && toText(message);
      if (text) found.push({ file, text });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function toText(node: ts.Expression): string | null {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
  }
  if (ts.isBinaryExpression(node)) {
    const [left, right] = [toText(node.left), toText(node.right)];
    return left !== null && right !== null ? left + right : null;
  }
  return null;
}

/** Clients compare this one. */
const asOpenAiWritesIt = 'Invalid file format for Batch API. Must be .jsonl';

const messages = files.flatMap(listMessages);

test('messages are sentences that start with a capital or the name of a field, and end with a full stop', () => {
  expect(messages.length).toBeGreaterThan(100);
  const target = process.env['MESSAGES_FILE'];
  if (target) writeFileSync(target, messages.map(({ file, text }) => `${file}: ${text}\n`).join(''));
  const isSentence = (text: string) => /^(?:[A-Z'…]|[a-z._]+[ =[])/.test(text) && /[.?…]$/.test(text);
  const unfinished = messages.filter(({ text }) => text !== asOpenAiWritesIt && !isSentence(text));
  expect(unfinished).toEqual([]);
});

test('no message has a word of a library', () => {
  const words = /\b(?:zod|undefined|NaN|Invalid input|expected .* received|ECONN\w*|FST_\w*)\b/;
  expect(messages.filter(({ text }) => words.test(text))).toEqual([]);
});
