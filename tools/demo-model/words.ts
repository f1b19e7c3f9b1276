/** Builds the lexicon of the demo embedder from the word lists: a direction and a weight for each piece of text. */
import { readFileSync } from 'node:fs';
import { buildDirection, normalize } from './random.ts';

export const dimensions = 256;

export interface Piece {
  /** In the tokenizer's notation: `##` starts a piece that continues a word. */
  readonly text: string;
  /** Pieces with the same row have the same direction. */
  readonly row: string;
  readonly weight: number;
}

export interface Lexicon {
  readonly pieces: readonly Piece[];
  readonly rows: ReadonlyMap<string, Float64Array>;
}

/** The parts of a word's direction: its own, its group's and its topic's. */
const shares = { own: 0.5, group: 0.75, topic: 0.45 };
/** Weights of other pieces, relative to a word of the vocabulary, which has weight 1. */
const weights = { fragment: 0.35, letter: 0.2, ending: 0.03, unknown: 0.3, edge: 0.02, mark: 0 };

const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const latin = [...'abcdefghijklmnopqrstuvwxyz'];
const digits = [...'0123456789'];
const others = [...'абвгдежзийклмнопрстуфхцчшщъыьэюяіїєαβγδεζηθικλμνξοπρστυφχψωßæøœłđðþ'];
const marks = [...'!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~–—‘’“”…€£'];

const readWordList = (name: string) =>
  readFileSync(new URL(name, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

/** @returns the inflected forms of an English word by the spelling rules. Some of them are unused forms, which do no harm. */
export function listWordForms(word: string): string[] {
  if (word.length < 3) return [];
  const stem = word.slice(0, -1);
  if (word.endsWith('e')) return [`${word}s`, `${word}d`, `${stem}ing`, `${word}r`, `${word}rs`];
  if (/[^aeiou]y$/.test(word)) return [`${stem}ies`, `${stem}ied`, `${word}ing`, `${stem}ier`, `${stem}iest`];
  if (/(s|x|z|ch|sh)$/.test(word)) return [`${word}es`, `${word}ed`, `${word}ing`];
  const plain = [`${word}s`, `${word}ed`, `${word}ing`];
  if (!/[^aeiou][aeiou][bdgklmnprt]$/.test(word)) return plain;
  const doubled = word + word.at(-1)!;
  return [...plain, `${doubled}ed`, `${doubled}ing`, `${doubled}er`, `${doubled}ers`];
}

export function buildLexicon(): Lexicon {
  const pieces = new Map<string, Piece>();
  const rows = new Map<string, Float64Array>();
  const add = (text: string, row: string, weight: number) => {
    if (pieces.has(text)) return;
    pieces.set(text, { text, row, weight });
    if (!rows.has(row)) rows.set(row, buildDirection(row, dimensions));
  };
  for (const text of special) {
    const weight = { '[UNK]': weights.unknown, '[CLS]': weights.edge }[text] ?? 0;
    add(text, text, weight);
  }
  addLightWords(add);
  const known = readVocabulary();
  for (const [word, direction] of known) {
    rows.set(word, direction);
    add(word, word, 1);
  }
  for (const word of known.keys()) for (const form of listWordForms(word)) add(form, word, 1);
  // The second word of a compound such as `riverbank`.
  for (const word of known.keys()) if (word.length > 3) add(`##${word}`, word, 1);
  for (const ending of readWordList('word-endings.txt').join(' ').split(' '))
    add(`##${ending}`, '(ending)', weights.ending);
  addFragments(add);
  return { pieces: [...pieces.values()], rows };
}

type Add = (text: string, row: string, weight: number) => void;

function addLightWords(add: Add): void {
  let weight = 0;
  for (const line of readWordList('light-words.txt')) {
    if (line.startsWith('= ')) weight = Number(line.slice(2));
    else for (const word of line.split(' ')) add(word, word, weight);
  }
}

/** @returns each word's direction: the sum over the groups that contain it. */
function readVocabulary(): Map<string, Float64Array> {
  const words = new Map<string, Float64Array>();
  let topic = '';
  for (const line of readWordList('vocabulary.txt')) {
    if (line.startsWith('= ')) {
      topic = line.slice(2);
      continue;
    }
    const group = buildDirection(`group ${topic} ${line}`, dimensions);
    const field = buildDirection(`topic ${topic}`, dimensions);
    for (const word of line.split(' ')) {
      const sum = words.get(word) ?? buildDirection(word, dimensions).map((value) => value * shares.own);
      words.set(
        word,
        sum.map((value, at) => value + shares.group * group[at]! + shares.topic * field[at]!),
      );
    }
  }
  return new Map([...words].map(([word, sum]) => [word, normalize(sum)]));
}

/** Pieces for unknown words: pairs of letters, so that words with a similar spelling are near each other. */
function addFragments(add: Add): void {
  for (const sign of [...latin, ...digits, ...others]) {
    add(sign, sign, weights.letter);
    add(`##${sign}`, sign, weights.letter);
  }
  for (const set of [latin, digits]) {
    for (const first of set) {
      for (const second of set) {
        add(first + second, first + second, weights.fragment);
        add(`##${first}${second}`, first + second, weights.fragment);
      }
    }
  }
  for (const mark of marks) add(mark, '(mark)', weights.mark);
}
