/**
 * What a provider does with each option of a kind: it is given to the upstream, given otherwise, applied to the answer
 * by us, or refused before the request is queued. Nothing is left out in silence. docs/reference/provider-options.md is
 * generated from these tables, and the conformance suite checks each row.
 */
import { kinds, type KindId } from '#catalogue';
import { InvalidInput } from '#domain';

/**
 * - `given`: sent under its own name.
 * - `as`: sent under this name, or in this form.
 * - `applied`: not sent; this says what is done with it here.
 * - `refused`: 400. This says what can be used instead, as a sentence.
 * - `allows`: values that are not refused, because they ask for what happens anyway.
 */
export type OptionRule =
  | 'given'
  | { readonly as: string }
  | { readonly applied: string }
  | { readonly refused: string; readonly allows?: readonly unknown[] };

export type KindRules = Readonly<Record<string, OptionRule>>;
/** Options that are not in the table are given. */
export type OptionRules = { readonly [K in KindId]?: KindRules };

export interface OptionTable {
  readonly rules: OptionRules;
  /** For kinds whose fields beyond those of the schema are passed on: what is done with them. @default given */
  readonly others?: { readonly [K in KindId]?: OptionRule };
  /** Options that exclude each other. @throws InvalidInput */
  readonly checkCombination?: (kind: KindId, input: Readonly<Record<string, unknown>>) => void;
}

/** The options of a kind: the fields of its input that may be left out, without `provider`, which holds a model's own options. */
export function listOptions(kind: KindId): string[] {
  const { shape } = kinds[kind].input as unknown as {
    shape: Record<string, { safeParse(value: unknown): { success: boolean } }>;
  };
  return Object.keys(shape).filter(
    (name) => name !== 'provider' && shape[name]!.safeParse(undefined).success,
  );
}

export const findRule = ({ rules, others }: OptionTable, kind: KindId, option: string): OptionRule => {
  const row = rules[kind] ?? {};
  if (Object.hasOwn(row, option)) return row[option]!;
  return isKnown(kind, option) ? 'given' : (others?.[kind] ?? 'given');
};

const isKnown = (kind: KindId, name: string): boolean =>
  Object.hasOwn((kinds[kind].input as unknown as { shape: object }).shape, name);

/**
 * Checks the options of a request before it is queued.
 * @param body as the kind's schema has parsed it.
 * @throws InvalidInput, code `unsupported`.
 */
export function checkOptions(table: OptionTable, provider: string, kind: KindId, body: object): void {
  for (const [option, value] of Object.entries(body)) {
    if (value === undefined || value === null || notOptions.has(option)) continue;
    const rule = findRule(table, kind, option);
    if (typeof rule === 'string' || !('refused' in rule)) continue;
    if (rule.allows?.some((allowed) => JSON.stringify(allowed) === JSON.stringify(value))) continue;
    throw refused(
      `'${provider}' does not take '${option}' for ${kinds[kind].title.toLowerCase()}. ${rule.refused}`,
      option,
    );
  }
  table.checkCombination?.(kind, body as Readonly<Record<string, unknown>>);
}

/** Of a request, not of the model's input. */
const notOptions = new Set(['model', 'metadata']);

export const refused = (message: string, param: string): InvalidInput =>
  new InvalidInput(message, { code: 'unsupported', param });
