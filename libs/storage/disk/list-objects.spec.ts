import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { listObjects } from './list-objects.ts';

describe('a listing whose pages are smaller than a folder', () => {
  const keys = [
    'a',
    'a-b',
    'a.b',
    'd-/x',
    'd/1',
    'd/2',
    'd/3',
    'd/e/1',
    'd/e/2',
    'd0',
    'm',
    'n',
    'o',
    'p/1',
    'q',
    'z',
  ];
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'millrace-list-'));
    for (const key of keys) {
      await mkdir(path.join(root, path.dirname(key)), { recursive: true });
      await writeFile(path.join(root, key), '');
    }
  });
  afterAll(() => rm(root, { recursive: true }));

  test.each([1, 2, 3, 5, 100])(
    'with %i names per page yields every key once and in order, after any key',
    async (pageSize) => {
      for (const after of ['', ...keys, 'd/', 'd/25', 'e']) {
        const found: string[] = [];
        for await (const { key } of listObjects(root, '', after, pageSize)) found.push(key);
        expect(found).toEqual(keys.filter((key) => key > after));
      }
    },
  );
});
