import { z } from 'zod';
import { kindIds, kindOf, kindOfEndpoint } from '../index.ts';

const all = kindIds.map((id) => [id, kindOf(id)] as const);

test('the catalogue has every kind', () => {
  expect(kindIds).toHaveLength(31);
  for (const [id, kind] of all) expect(kind.id).toBe(id);
});

test.each(all)('%s: its examples are complete and valid, and its schemas can be shown', (id, kind) => {
  for (const { model, input, options } of kind.examples) {
    expect(model).toBe(`sandbox/${id}`);
    expect(kind.body.safeParse({ model, ...input, ...options }).error?.issues ?? []).toEqual([]);
  }
  for (const schema of [kind.input, kind.output]) {
    expect(z.toJSONSchema(schema)).toMatchObject({ type: 'object' });
  }
});

test.each(all)('%s: asks for what is missing, and for the right type', (_, kind) => {
  const [{ model, input }] = kind.examples;
  for (const key of Object.keys(input)) {
    const without = { model, ...input, [key]: undefined };
    expect(kind.body.safeParse(without).success).toBe(false);
    const wrong = kind.body.safeParse({ model, ...input, [key]: 7 });
    expect(wrong.error?.issues[0]?.path[0]).toBe(key);
  }
  expect(kind.body.safeParse(input).error?.issues[0]?.path).toEqual(['model']);
});

test.each(all)('%s: its limits are limits', (_, { timeoutMs, longestMs, chunk, answerBytes, result }) => {
  expect(timeoutMs).toBeLessThanOrEqual(longestMs);
  expect(chunk.maxLines).toBeGreaterThan(0);
  expect(answerBytes({})).toBeGreaterThan(0);
  expect(result.inlineBytes).toBeGreaterThan(0);
});

test('an endpoint carries one kind', () => {
  expect(kindOfEndpoint('/v1/chat/completions')).toBe('chat-completion');
  expect(kindOfEndpoint('/v1/none')).toBeUndefined();
  const endpoints = all.flatMap(([, { endpoint }]) => endpoint ?? []);
  expect(new Set(endpoints).size).toBe(endpoints.length);
});
