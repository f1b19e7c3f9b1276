/** Joins the same fields of successive chunks of a stream. */
import { isObject, type Fields } from './completion-choices.ts';

/** Text that names something: it is sent whole, and sent again it is the same. */
const names = new Set([
  'id',
  'type',
  'role',
  'name',
  'object',
  'format',
  'status',
  'model',
  'index',
  'signature',
]);

/** Text is joined, lists are appended, objects are merged; of anything else the last value that is not null counts. */
export function mergeFields(before: Fields, added: Fields): Fields {
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(added)) {
    if (value === null || value === undefined) continue;
    const old = Object.hasOwn(merged, name) ? merged[name] : undefined;
    merged[name] = merge(name, old, value);
  }
  return merged;
}

function merge(name: string, old: unknown, value: unknown): unknown {
  if (typeof old === 'string' && typeof value === 'string') return names.has(name) ? value : old + value;
  if (Array.isArray(old) && Array.isArray(value)) return [...(old as unknown[]), ...(value as unknown[])];
  if (isObject(old) && isObject(value) && !('rawJSON' in value)) return mergeFields(old, value);
  return value;
}
