/** The script reproduces the committed files, and the model works on sentences that were not used to tune it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { embedWithReference } from '../../test/support/reference-embed.ts';
import { buildDemoEmbedder } from './demo-embedder.ts';
import { listWordForms } from './words.ts';

const models = join(import.meta.dirname, '../../models');
const folder = join(models, 'demo-embedder');
const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('the script produces the committed files byte for byte', () => {
  const built = [...buildDemoEmbedder()].map(([path, bytes]) => [path, sum(bytes)]);
  const committed = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((path) => [relative(folder, path).replaceAll('\\', '/'), sum(readFileSync(path))]);
  expect(Object.fromEntries(committed)).toEqual(Object.fromEntries(built));
});

test('inflected forms of words follow the spelling rules', () => {
  expect(listWordForms('bake')).toEqual(['bakes', 'baked', 'baking', 'baker', 'bakers']);
  expect(listWordForms('carry')).toContain('carried');
  expect(listWordForms('stop')).toEqual(expect.arrayContaining(['stops', 'stopped', 'stopping']));
  expect(listWordForms('fix')).toContain('fixes');
});

interface Triple {
  readonly text: string;
  readonly nearer: string;
  readonly further: string;
}

function triples(name: string): Triple[] {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' | '))
    .map(([text, nearer, further]) => ({ text: text!, nearer: nearer!, further: further! }));
}

/** Share of triples in which `nearer` is more similar than `further`; a tie counts half. */
function getAccuracy(all: readonly Triple[], similarity: (a: string, b: string) => number): number {
  const points = all.map(({ text, nearer, further }) => {
    const [near, far] = [similarity(text, nearer), similarity(text, further)];
    return near > far ? 1 : near === far ? 0.5 : 0;
  });
  return points.reduce<number>((total, one) => total + one, 0) / points.length;
}

/** Share of texts whose own `nearer` text is the most similar of all `nearer` texts; ties share the point. */
function getTopOneAccuracy(all: readonly Triple[], similarity: (a: string, b: string) => number): number {
  const points = all.map(({ text, nearer }) => {
    const own = similarity(text, nearer);
    const others = all.map((other) => similarity(text, other.nearer));
    return others.some((one) => one > own) ? 0 : 1 / others.filter((one) => one === own).length;
  });
  return points.reduce((total, one) => total + one, 0) / points.length;
}

/** Jaccard index of the words: a search without a model. */
function getWordOverlap(a: string, b: string): number {
  const [first, second] = [a, b].map((text) => new Set(text.toLowerCase().match(/[a-z']+/g)));
  const both = [...first!].filter((word) => second!.has(word)).length;
  return both / (first!.size + second!.size - both);
}

test('ranks held-out sentences by meaning, far better than by common words', async () => {
  const tuned = triples('pairs-tuned.txt');
  const heldOut = triples('pairs-held-out.txt');
  const listTexts = (all: readonly Triple[]) =>
    all.flatMap(({ text, nearer, further }) => [text, nearer, further]);
  const seen = new Set(listTexts(tuned));
  expect(listTexts(heldOut).filter((text) => seen.has(text))).toEqual([]);

  const texts = [...listTexts(tuned), ...listTexts(heldOut)];
  const embedded = await embedWithReference(models, 'demo-embedder', texts);
  const vectors = new Map(texts.map((text, at) => [text, embedded[at]!]));
  const cosine = (a: string, b: string) =>
    vectors.get(a)!.reduce((total, value, at) => total + value * vectors.get(b)![at]!, 0);
  // The third text shares words with the first on purpose: a comparison of words fails on each triple.
  expect(getAccuracy(heldOut, cosine)).toBeGreaterThanOrEqual(0.9);
  expect(getAccuracy(heldOut, getWordOverlap)).toBeLessThan(0.1);
  // Without misleading texts: which of all texts belongs to this one?
  const [found, byWords] = [getTopOneAccuracy(heldOut, cosine), getTopOneAccuracy(heldOut, getWordOverlap)];
  expect(found).toBeGreaterThanOrEqual(0.8);
  expect(found - byWords).toBeGreaterThanOrEqual(0.4);
});
