/** That the script makes the committed files, and that they are worth something on sentences nobody tuned them on. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { embedWithReference } from '../../test/support/reference-embed.ts';
import { buildDemoEmbedder } from './demo-embedder.ts';
import { listWordForms } from './words.ts';

const models = join(import.meta.dirname, '../../models');
const folder = join(models, 'demo-embedder');
const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('the script makes the committed files, byte by byte', () => {
  const built = [...buildDemoEmbedder()].map(([path, bytes]) => [path, sum(bytes)]);
  const kept = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((path) => [relative(folder, path).replaceAll('\\', '/'), sum(readFileSync(path))]);
  expect(Object.fromEntries(kept)).toEqual(Object.fromEntries(built));
});

test('forms of words, by the rules of spelling', () => {
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

/** Share of triples whose nearer text is the nearer one; a tie is half. */
function accuracy(all: readonly Triple[], similarity: (a: string, b: string) => number): number {
  const points = all.map(({ text, nearer, further }) => {
    const [near, far] = [similarity(text, nearer), similarity(text, further)];
    return near > far ? 1 : near === far ? 0.5 : 0;
  });
  return points.reduce<number>((total, one) => total + one, 0) / points.length;
}

/** Share of texts to which, of all that belong to one of them, their own is the nearest; ties share the point. */
function firstOf(all: readonly Triple[], similarity: (a: string, b: string) => number): number {
  const points = all.map(({ text, nearer }) => {
    const own = similarity(text, nearer);
    const others = all.map((other) => similarity(text, other.nearer));
    return others.some((one) => one > own) ? 0 : 1 / others.filter((one) => one === own).length;
  });
  return points.reduce((total, one) => total + one, 0) / points.length;
}

/** Jaccard's index of the words: what a search without any model has. */
function overlap(a: string, b: string): number {
  const [first, second] = [a, b].map((text) => new Set(text.toLowerCase().match(/[a-z']+/g)));
  const both = [...first!].filter((word) => second!.has(word)).length;
  return both / (first!.size + second!.size - both);
}

test('it tells near from far on held-out sentences, far better than the words in common do', async () => {
  const tuned = triples('pairs-tuned.txt');
  const heldOut = triples('pairs-held-out.txt');
  const textsOf = (all: readonly Triple[]) =>
    all.flatMap(({ text, nearer, further }) => [text, nearer, further]);
  const seen = new Set(textsOf(tuned));
  expect(textsOf(heldOut).filter((text) => seen.has(text))).toEqual([]);

  const texts = [...textsOf(tuned), ...textsOf(heldOut)];
  const embedded = await embedWithReference(models, 'demo-embedder', texts);
  const vectors = new Map(texts.map((text, at) => [text, embedded[at]!]));
  const cosine = (a: string, b: string) =>
    vectors.get(a)!.reduce((total, value, at) => total + value * vectors.get(b)![at]!, 0);
  // The third text shares words with the first on purpose: what goes by words alone is misled each time.
  expect(accuracy(heldOut, cosine)).toBeGreaterThanOrEqual(0.9);
  expect(accuracy(heldOut, overlap)).toBeLessThan(0.1);
  // Nobody misleads here: of all texts, which one belongs to this one?
  const [found, byWords] = [firstOf(heldOut, cosine), firstOf(heldOut, overlap)];
  expect(found).toBeGreaterThanOrEqual(0.8);
  expect(found - byWords).toBeGreaterThanOrEqual(0.4);
});
