/**
 * JSON whose numbers stay as they were written: a tool's schema may hold the bounds of 64-bit integers, which a double
 * cannot. Such a number is parsed to a raw number (`JSON.rawJSON`), which `JSON.stringify` writes as it was.
 */
import { InvalidInput } from '../errors.ts';

/** What `JSON.rawJSON` returns: frozen, without a prototype, so that no parsed JSON looks like it. */
interface RawNumber {
  readonly rawJSON: string;
}

interface ExactJson {
  parse(
    text: string,
    reviver: (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): RawNumber;
}

/** Node has both since 21; TypeScript's library does not declare them yet. */
const exactJson = JSON as unknown as ExactJson;

/** A number that a double may not hold, or that is printed otherwise: 16 digits, or an exponent. Also true inside text. */
const maybeInexact = /[-:,[\s]\d[\d.]*(?:[eE]|\d{15})/;

/** Levels of nesting that a body may have, far below what overflows the stack. */
const maxDepth = 500;

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) {
    if (isDeeperThan((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}

export function isRawNumber(value: unknown): value is RawNumber {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === null &&
    Object.isFrozen(value) &&
    typeof (value as RawNumber).rawJSON === 'string'
  );
}

/**
 * Like `JSON.parse`, with raw numbers where a double would change them. Only a text that may hold one is read twice.
 * @throws InvalidInput `invalid_json` with the line and column; `invalid_request` with the path of a number too large for a
 * double (`1e400`) or of a field named `__proto__`.
 */
export function parseExactJson(text: string): unknown {
  const value = parsePlainJson(text);
  if (isDeeperThan(value, maxDepth)) {
    throw new InvalidInput(`The body is nested deeper than ${maxDepth} levels.`, { code: 'invalid_request' });
  }
  if (text.includes('__proto__')) assertNoPrototype(value, []);
  if (!maybeInexact.test(text)) return value;
  const path = findUnrepresentable(value);
  if (path) throw buildUnrepresentable(path, text);
  return parseRawNumbers(text);
}

/** Reads JSON that was written from a checked value. */
export function parseStoredJson(text: string): unknown {
  return maybeInexact.test(text) ? parseRawNumbers(text) : (JSON.parse(text) as unknown);
}

function parseRawNumbers(text: string): unknown {
  return exactJson.parse(text, (_key, parsed, { source }) => {
    if (typeof parsed !== 'number' || source === undefined || String(parsed) === source) return parsed;
    return Number.isFinite(parsed) && /[eE]|\d{16}/.test(source) ? exactJson.rawJSON(source) : parsed;
  });
}

function parsePlainJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The message of JSON.parse quotes the body, which must not be logged or returned: only the position is taken from it.
    const { line, column } = findPosition((error as Error).message, text);
    throw new InvalidInput(`The body is not valid JSON: line ${line}, column ${column}.`, {
      code: 'invalid_json',
    });
  }
}

function findPosition(message: string, text: string): { line: number; column: number } {
  const position = /at position (\d+)/.exec(message);
  const before = text.slice(0, position ? Number(position[1]) : text.length);
  const line = before.split('\n').length;
  return { line, column: before.length - before.lastIndexOf('\n') };
}

function assertNoPrototype(value: unknown, path: readonly string[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.hasOwn(value, '__proto__')) {
    const param = [...path, '__proto__'].join('.');
    throw new InvalidInput(`'${param}': a field must not be named __proto__.`, {
      code: 'invalid_request',
      param,
    });
  }
  for (const [key, item] of Object.entries(value)) assertNoPrototype(item, [...path, key]);
}

/** @returns the path of the first number that is too large for a double; null if there is none. */
export function findUnrepresentable(value: unknown, depth = 0): string[] | null {
  if (typeof value === 'number') return Number.isFinite(value) ? null : [];
  if (typeof value !== 'object' || value === null || depth > maxDepth) return null;
  for (const key in value) {
    const path = findUnrepresentable((value as Record<string, unknown>)[key], depth + 1);
    if (path) return [key, ...path];
  }
  return null;
}

/** Whether a parsed number may have been changed: it is above 2^53. Cheaper than a look at the text. */
export function hasInexactNumber(value: unknown, depth = 0): boolean {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER;
  if (typeof value !== 'object' || value === null || depth > maxDepth) return false;
  for (const key in value) {
    if (hasInexactNumber((value as Record<string, unknown>)[key], depth + 1)) return true;
  }
  return false;
}

export function describeUnrepresentable(path: readonly string[]): string {
  return `'${path.join('.')}': the number is too large; the largest is about 1.8e308.`;
}

function buildUnrepresentable(path: readonly string[], text: string): InvalidInput {
  // The text of the number is not known here: the first one that is written so large is it, unless a string has one too.
  const at = text.search(/[-:,[\s]\d[\d.]*(?:[eE]\+?0*[3-9]\d\d|\d{309})/);
  const line = at < 0 ? '' : ` It is on line ${text.slice(0, at + 1).split('\n').length}.`;
  return new InvalidInput(describeUnrepresentable(path) + line, {
    code: 'invalid_request',
    param: path.join('.'),
  });
}

/** @returns the value with plain numbers in place of raw ones: what a schema can check. The value itself if it has none. */
export function toPlainNumbers(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > maxDepth) return value;
  if (isRawNumber(value)) return Number(value.rawJSON);
  if (Array.isArray(value)) return mapIfChanged(value, depth);
  let copy: Record<string, unknown> | null = null;
  for (const [key, item] of Object.entries(value)) {
    const plain = toPlainNumbers(item, depth + 1);
    if (plain !== item) (copy ??= { ...value })[key] = plain;
  }
  return copy ?? value;
}

function mapIfChanged(items: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | null = null;
  for (const [index, item] of items.entries()) {
    const plain = toPlainNumbers(item, depth + 1);
    if (plain !== item) (copy ??= [...items])[index] = plain;
  }
  return copy ?? items;
}

/** Puts the raw numbers of `exact` back where `parsed`, its checked form, has the same number at the same path. */
export function restoreRawNumbers(parsed: unknown, exact: unknown): unknown {
  if (isRawNumber(exact)) return parsed === Number(exact.rawJSON) ? exact : parsed;
  if (typeof parsed !== 'object' || parsed === null || typeof exact !== 'object' || exact === null)
    return parsed;
  for (const [key, item] of Object.entries(exact)) {
    if (!Object.hasOwn(parsed, key)) continue;
    const fields = parsed as Record<string, unknown>;
    const restored = restoreRawNumbers(fields[key], item);
    if (restored !== fields[key]) fields[key] = restored;
  }
  return parsed;
}
