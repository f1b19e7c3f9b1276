/**
 * What a request's field must be, in words for people. It is the locale of every schema, so that no word of the schema
 * library reaches a client. A message completes the sentence `'field': it …`, without a full stop.
 */
import { z } from 'zod';

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

interface UnionIssue extends SchemaIssue {
  readonly code?: string;
  readonly keys?: readonly string[];
  readonly errors?: readonly (readonly UnionIssue[])[];
  readonly issues?: readonly UnionIssue[];
}

z.config({ localeError: (issue) => describeIssue(issue) });

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  null: 'null',
  undefined: 'absent',
};

const sizeUnits: Readonly<Record<string, string>> = {
  string: 'characters',
  array: 'items',
  record: 'fields',
  object: 'fields',
};

function describeIssue(issue: z.core.$ZodRawIssue): string {
  const { input } = issue as { input?: unknown };
  const allowed = describeAllowed(issue);
  if (input !== undefined || issue.code === 'unrecognized_keys') return allowed;
  return 'it is required';
}

function describeAllowed(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `it must be ${typeNames[issue.expected] ?? `of type ${issue.expected}`}, not ${describeType(issue.input)}`;
    case 'invalid_value':
      return describeValues(issue.values);
    case 'too_big':
      return describeBound(issue, 'at most', Number(issue.maximum));
    case 'too_small':
      return describeBound(
        issue,
        issue.inclusive === false ? 'more than' : 'at least',
        Number(issue.minimum),
      );
    case 'not_multiple_of':
      return `it must be a multiple of ${String(issue.divisor)}`;
    case 'unrecognized_keys':
      return describeUnknownFields(issue.keys, issue.inst);
    case 'invalid_union':
      return Array.isArray(issue.options) && issue.options.length > 0
        ? describeValues(issue.options)
        : 'it has none of the accepted forms';
    case 'invalid_key':
      return 'one of its field names is not accepted';
    case 'invalid_format':
      return 'it does not have the required format';
    case 'invalid_element':
    case 'custom':
    default:
      return 'it is not valid';
  }
}

function describeType(input: unknown): string {
  if (input === null) return 'null';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'number')
    return Number.isInteger(input) ? 'a number' : 'a fraction or a number out of range';
  return typeNames[typeof input] ?? 'another type';
}

function describeValues(values: readonly unknown[]): string {
  const list = values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));
  return list.length === 1 ? `it must be ${list[0]}` : `it must be one of ${list.join(', ')}`;
}

function describeBound(issue: { readonly origin?: string }, comparison: string, bound: number): string {
  const unit = sizeUnits[issue.origin ?? ''];
  const limit = bound.toLocaleString('en', { maximumFractionDigits: 9 });
  return unit ? `it must have ${comparison} ${limit} ${unit}` : `it must be ${comparison} ${limit}`;
}

function describeUnknownFields(keys: readonly string[], schema: unknown): string {
  const { shape = {} } = (schema as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def ?? {};
  const known = Object.keys(shape);
  const nearest = findNearestName(keys[0] ?? '', known);
  if (nearest) return `this field is not known here; did you mean '${nearest}'`;
  const hint = known.includes('provider') ? ". Options of the model itself go under 'provider'" : '';
  return `this field is not known here. The fields are ${known.join(', ')}${hint}`;
}

/** @returns the known name that a misspelt one most likely stands for; null if none is near. */
export function findNearestName(name: string, known: readonly string[]): string | null {
  const normalized = normalize(name);
  let nearest: string | null = null;
  let smallest = Math.min(3, Math.floor(normalized.length / 3)) + 1;
  for (const candidate of known) {
    const distance = getEditDistance(normalized, normalize(candidate), smallest);
    if (distance < smallest) [nearest, smallest] = [candidate, distance];
  }
  return nearest;
}

const normalize = (name: string) => name.slice(0, 64).toLowerCase().replaceAll(/[-_ ]/g, '');

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). Stops at `limit`. */
function getEditDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let [before, previous] = [new Array<number>(), Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(previous[j]! + 1, row[j - 1]! + 1, replaced);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length]!;
}

export interface ExplainOptions {
  /** Path of the parsed value in the request, e.g. `input.`. */
  readonly prefix?: string;
  /** What the request calls a field, where it has another name. */
  readonly fieldNames?: Readonly<Record<string, string>>;
}

/**
 * The one problem to tell of several: a misspelt field before the required one that it stands for.
 * @returns `param`: the dotted path of the field, empty for the whole value; `message`: a sentence that names it.
 */
export function explainIssues(
  issues: readonly SchemaIssue[],
  { prefix = '', fieldNames = {} }: ExplainOptions = {},
): { readonly param: string; readonly message: string } {
  const misspelt = issues.find((issue) => isUnknownField(issue) && issue.message.includes('did you mean'));
  const { path, message } = findCause(misspelt ?? issues[0] ?? { message: 'it is not valid' });
  const [first = '', ...rest] = path;
  const name = [Object.hasOwn(fieldNames, first) ? fieldNames[first] : first, ...rest].join('.');
  const param = name && !topLevelFields.has(name) ? `${prefix}${name}` : name;
  const end = /did you mean '[^']*'$/.test(message) ? '?' : '.';
  const whole = message === 'it is required' ? 'send a JSON object' : message;
  const sentence = param ? `'${param}': ${message}${end}` : `The request is not accepted: ${whole}${end}`;
  return { param, message: sentence };
}

/** Fields of a kind's body that a task request has beside `input`, not in it. */
const topLevelFields = new Set(['model', 'metadata']);

const isUnknownField = (issue: UnionIssue) => issue.code === 'unrecognized_keys';

/** Of a union, the branch that came furthest: the form that the client meant. */
function findCause(issue: UnionIssue): { path: string[]; message: string } {
  const path = (issue.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step));
  const { message, keys: [key] = [], issues: [inner] = [] } = issue;
  if (isUnknownField(issue)) return { path: [...path, String(key).slice(0, 64)], message };
  if (issue.code === 'invalid_key') {
    // The name itself may be long, and is the client's: only the field that has it is named.
    return {
      path: path.slice(0, -1),
      message: `one of its names is not accepted: ${inner?.message ?? message}`,
    };
  }
  // A message of the union's own says all its forms: only what is deeper in one of them says more.
  const minDepth = message === 'it has none of the accepted forms' ? 1 : 2;
  let deepest: { path: string[]; message: string } | null = null;
  for (const [first] of issue.errors ?? []) {
    if (!first) continue;
    const cause = findCause(first);
    if (cause.path.length >= minDepth && cause.path.length > (deepest?.path.length ?? 0)) deepest = cause;
  }
  return deepest ? { path: [...path, ...deepest.path], message: deepest.message } : { path, message };
}
