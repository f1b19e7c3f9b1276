import { buildKindSchemas, kindIds, findKind } from '../index.ts';

const all = kindIds.map((id) => [id, findKind(id)] as const);

test('the catalogue has every kind', () => {
  expect(kindIds).toHaveLength(31);
  for (const [id, kind] of all) expect(kind.id).toBe(id);
});

test.each(all)(
  '%s: its examples are complete and valid, and its schemas convert to JSON Schema',
  (id, kind) => {
    for (const { model, input, options } of kind.examples) {
      expect(model).toBe(`sandbox/${id}`);
      expect(kind.body.safeParse({ model, ...input, ...options }).error?.issues ?? []).toEqual([]);
    }
    for (const schema of Object.values(buildKindSchemas(kind))) {
      expect(schema).toMatchObject({ type: 'object' });
    }
  },
);

test.each(all)('%s: a missing field and a field of the wrong type are named in the error', (_, kind) => {
  const [{ model, input }] = kind.examples;
  for (const key of Object.keys(input)) {
    const without = { model, ...input, [key]: undefined };
    expect(kind.body.safeParse(without).success).toBe(false);
    const wrong = kind.body.safeParse({ model, ...input, [key]: 7 });
    expect(wrong.error?.issues[0]?.path[0]).toBe(key);
  }
  expect(kind.body.safeParse(input).error?.issues[0]?.path).toEqual(['model']);
});

test.each(all)(
  '%s: its limits are consistent',
  (_, { timeoutMs, maxTimeoutMs, chunk, estimateAnswerBytes, result }) => {
    expect(timeoutMs).toBeLessThanOrEqual(maxTimeoutMs);
    expect(chunk.maxLines).toBeGreaterThan(0);
    expect(estimateAnswerBytes({})).toBeGreaterThan(0);
    expect(result.maxInlineBytes).toBeGreaterThan(0);
  },
);
