import { findMismatch } from '../support/response-mismatch.ts';

const deleted = { id: `file_${'0'.repeat(32)}`, object: 'file', deleted: true };
const check = (body: object, over: object = {}) =>
  findMismatch({
    ...{ route: 'DELETE /v1/files/:id', status: 200, contentType: 'application/json; charset=utf-8' },
    body: JSON.stringify(body),
    ...over,
  });

test('a response that fits its schema has no mismatch', () => {
  expect(check(deleted)).toBeNull();
});

test('a missing, a wrong and an unknown field are mismatches, named by their path', () => {
  expect(check({ ...deleted, id: undefined })).toMatch(/^id: /);
  expect(check({ ...deleted, deleted: 'yes' })).toMatch(/^deleted: /);
  expect(check({ ...deleted, bytes: 1 })).toBe('unknown fields: bytes');
  const page = { object: 'list', data: ['task.queued'] };
  expect(check(page, { route: 'GET /v1/webhook_event_types' })).toBeNull();
});

test('a route without a schema is a mismatch; one that is not JSON is not checked', () => {
  expect(check({}, { route: 'GET /v1/none' })).toContain('no schema');
  expect(check({}, { route: 'GET /v1/files/:id/content' })).toBeNull();
});

test('errors have one of the two error shapes', () => {
  const error = { message: 'No such file.', type: 'not_found_error', param: null, code: 'file_not_found' };
  expect(check({ error }, { status: 404 })).toBeNull();
  expect(check({ error: { ...error, code: 7 } }, { status: 404 })).not.toBeNull();
  const problem = {
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    detail: 'x',
    instance: 'req',
    error,
  };
  const contentType = 'application/problem+json; charset=utf-8';
  expect(check({ ...problem, code: null, param: null }, { status: 404, contentType })).toBeNull();
  expect(check(problem, { status: 404, contentType })).toMatch(/^code: /);
});
