import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { listObjects } from './list-objects.ts';

describe('the walk in pages smaller than a folder', () => {
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
    root = await mkdtemp(path.join(tmpdir(), 'millrace-walk-'));
    for (const key of keys) {
      await mkdir(path.join(root, path.dirname(key)), { recursive: true });
      await writeFile(path.join(root, key), '');
    }
  });
  afterAll(() => rm(root, { recursive: true }));

  test.each([1, 2, 3, 5, 100])(
    'of %i names gives every key once, in order, from every place on',
    async (pageNames) => {
      for (const after of ['', ...keys, 'd/', 'd/25', 'e']) {
        const found: string[] = [];
        for await (const { key } of listObjects(root, '', after, pageNames)) found.push(key);
        expect(found).toEqual(keys.filter((key) => key > after));
      }
    },
  );
});
