import { usageQuery } from './usage.ts';

const parsed = (given: object) => usageQuery.parse({ start_time: '0', ...given });

test.each([
  [{ group_by: 'model,provider,api_key,kind' }],
  [{ group_by: ['model', 'provider', 'api_key_id', 'kind'] }],
  [{ 'group_by[]': ['model', 'provider', 'api_key', 'kind'] }],
  [{ 'group_by[0]': 'model,provider', group_by: 'model,provider,api_key,kind' }],
])('%j is a list of groups', (given) => {
  expect(parsed(given).group_by).toEqual(['model', 'provider', 'api_key_id', 'kind']);
});

test("page sizes equal OpenAI's", () => {
  expect(parsed({})).toMatchObject({ bucket_width: '1d', limit: 7 });
  expect(parsed({ bucket_width: '1h' })).toMatchObject({ limit: 24 });
  expect(parsed({ bucket_width: '1h', limit: '168', batch: 'true' })).toMatchObject({
    limit: 168,
    batch: true,
  });
});

test.each([
  [{ limit: '32' }, 'limit'],
  [{ bucket_width: '1h', limit: '169' }, 'limit'],
  [{ bucket_width: '1m' }, 'bucket_width'],
  [{ group_by: 'worker' }, 'group_by'],
  [{ start_time: 'monday' }, 'start_time'],
  [{ start_time: '7', end_time: '7' }, 'end_time'],
  [{ page: '7' }, 'page'],
])('%j is refused, by its name', (given, field) => {
  const { error } = usageQuery.safeParse({ start_time: '0', ...given });
  expect(error?.issues[0]?.path[0]).toBe(field);
});
