/** `npm run check:words`: fails on a retired word in a file that git tracks. The list and its reasons: retired-words.json. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

interface RetiredWord {
  readonly word: string;
  readonly forms?: readonly string[];
  readonly use: string;
}

interface RetiredPhrase {
  readonly phrase: string;
  readonly use: string;
}

interface RetiredWords {
  readonly words: readonly RetiredWord[];
  readonly phrases: readonly RetiredPhrase[];
  /** For one word: path prefixes where it may stay. */
  readonly allow: Readonly<Record<string, readonly string[]>>;
  /** Path prefixes that are not read. */
  readonly ignore: readonly string[];
}

const list = JSON.parse(
  readFileSync(new URL('./retired-words.json', import.meta.url), 'utf8'),
) as RetiredWords;

const text = /\.(ts|tsx|mjs|cjs|js|md|json|yml|yaml|sh|txt|css|html)$|(^|\/)(run|Dockerfile|\.env\.example)$/;

const useByWord = new Map<string, string>();
const baseByWord = new Map<string, string>();
for (const { word, forms = [], use } of list.words) {
  for (const form of [word, ...forms]) {
    useByWord.set(form, use);
    baseByWord.set(form, word);
  }
}

/** Words of prose, identifiers and paths alike: `heldBack`, `held_back` and `held back` are the same two words. */
function splitWords(line: string): string[] {
  return (
    line
      .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
      .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
      .toLowerCase()
      .match(/[a-z]+/g) ?? []
  );
}

const isAllowed = (word: string, path: string) =>
  (list.allow[word] ?? []).some((prefix) => path.startsWith(prefix));

/** @returns one message for each retired word or phrase of the line. */
function checkLine(line: string, path: string): string[] {
  const words = splitWords(line);
  const joined = ` ${words.join(' ')} `;
  const found = words
    .filter((word) => useByWord.has(word) && !isAllowed(baseByWord.get(word)!, path))
    .map((word) => `"${word}": use ${useByWord.get(word)!}`);
  const phrases = list.phrases
    .filter(({ phrase }) => joined.includes(` ${splitWords(phrase).join(' ')} `) && !isAllowed(phrase, path))
    .map(({ phrase, use }) => `"${phrase}": use ${use}`);
  return [...new Set([...found, ...phrases])];
}

const prefixes = process.argv.slice(2);
const paths = execFileSync('git', ['ls-files'], { encoding: 'utf8' })
  .split('\n')
  .filter((path) => text.test(path) && existsSync(path))
  .filter((path) => !list.ignore.some((prefix) => path.startsWith(prefix)))
  .filter((path) => prefixes.length === 0 || prefixes.some((prefix) => path.startsWith(prefix)));

let count = 0;
for (const path of paths) {
  const report = (where: string, line: string) => {
    for (const message of checkLine(line, path)) {
      console.log(`${where} ${message}`);
      count++;
    }
  };
  report(path, path);
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((line, at) => report(`${path}:${at + 1}`, line));
}
if (count > 0) console.log(`${count} retired words. See test/words/retired-words.json for the word to use.`);
process.exitCode = count > 0 ? 1 : 0;
