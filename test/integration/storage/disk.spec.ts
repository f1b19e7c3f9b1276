/** The conformance suite on disk, then what only the disk storage has: folders, unique times, and signed URLs of the API. */
import { jest } from '@jest/globals';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createDiskStorage, verifySignedUrl, type ObjectStorage } from '#storage';
import { objectStorageConformance } from './conformance/index.ts';
import { listKeys } from './conformance/subject.ts';
import { createFolder, signing } from './disk-fixture.ts';

objectStorageConformance('disk', async () => {
  const root = await createFolder();
  return {
    objects: await createDiskStorage({ root, signing }),
    countUnfinished: async () => (await fs.readdir(path.join(root, '.tmp'))).length,
    cleanup: () => fs.rm(root, { recursive: true }),
  };
});

describe('the disk storage', () => {
  let root: string;
  let temp: string;
  let objects: ObjectStorage;
  beforeEach(async () => {
    root = await createFolder();
    temp = path.join(root, '.tmp');
    objects = await createDiskStorage({ root, signing });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await objects.close();
    await fs.rm(root, { recursive: true });
  });

  test("a key can't be the folder of another key", async () => {
    await objects.put('a/b', Buffer.from('x'));
    const rejected = expect.objectContaining({ code: 'key_is_folder' });
    await expect(objects.put('a', Buffer.from('x'))).rejects.toEqual(rejected);
    await expect(objects.put('a/b/c', Buffer.from('x'))).rejects.toEqual(rejected);
    await expect(objects.put('a', Buffer.from('x'), { ifNoneMatch: '*' })).rejects.toEqual(
      expect.objectContaining({ status: 409 }),
    );
    expect([await listKeys(objects), await fs.readdir(temp)]).toEqual([['a/b'], []]);
  });

  test('a truncated segment is detected by its size', async () => {
    const { bytes } = await objects.put('s/1.jsonl', Buffer.alloc(5000, 'x'));
    await fs.truncate(path.join(root, 's/1.jsonl'), 4000);
    const damaged = expect.objectContaining({
      code: 'segment_damaged',
      expectedBytes: 5000,
      foundBytes: 4000,
    });
    await expect(objects.read('s/1.jsonl', { start: 0, end: 10, expectedBytes: bytes })).rejects.toEqual(
      damaged,
    );
    await expect(objects.get('s/1.jsonl', { expectedBytes: bytes })).rejects.toEqual(damaged);
  });

  test('a deletion removes the folders that it empties and keeps files that are not objects', async () => {
    await fs.writeFile(path.join(root, '.DS_Store'), '');
    await fs.mkdir(path.join(root, 'lost+found'));
    await objects.put('a/b/c/1', Buffer.from('x'));
    await objects.put('a/2', Buffer.from('x'));
    expect(await listKeys(objects)).toEqual(['a/2', 'a/b/c/1']);
    await objects.delete(['a/b/c/1']);
    expect(await fs.readdir(path.join(root, 'a'))).toEqual(['2']);
    await objects.delete(['a/2']);
    expect((await fs.readdir(root)).sort()).toEqual(['.DS_Store', '.tmp', 'lost+found']);
  });

  test('two storages on one folder do not disturb each other', async () => {
    const other = await createDiskStorage({ root, signing });
    await objects.put('shared/folder/1', Buffer.from('x'));
    await other.delete(['shared/folder/1']);
    await objects.put('shared/folder/2', Buffer.from('y'));
    expect((await other.read('shared/folder/2')).toString()).toBe('y');
    let { etag } = await objects.put('k', Buffer.from('0'));
    for (let round = 0; round < 10; round++) {
      const puts = [objects, other, objects, other].map((each) =>
        each.put('k', Buffer.from('n'), { ifMatch: etag }),
      );
      const won = (await Promise.allSettled(puts)).flatMap((outcome) =>
        outcome.status === 'fulfilled' ? [outcome.value] : [],
      );
      expect(won).toHaveLength(1);
      etag = won[0]!.etag;
    }
  });

  test('puts within one step of the clock have different times, so that a reused inode never has an old etag', async () => {
    jest.spyOn(Date, 'now').mockReturnValue(Date.now());
    const keys = Array.from({ length: 20 }, (_, at) => `k${at}`);
    await Promise.all(keys.map((key) => objects.put(key, Buffer.from('x'))));
    const times = await Promise.all(
      keys.map(async (key) => (await fs.stat(path.join(root, key), { bigint: true })).mtimeNs),
    );
    const [first, last] = [times.reduce((a, b) => (a < b ? a : b)), times.reduce((a, b) => (a > b ? a : b))];
    expect(new Set(times).size).toBe(20);
    expect(last - first).toBeLessThan(1_000_000n);
  });

  test('every put has another etag, also of the same bytes in quick succession', async () => {
    const etags = new Set<string>();
    for (let time = 0; time < 200; time++)
      etags.add((await objects.put('k', Buffer.from(`same ${time % 10}`))).etag);
    expect(etags.size).toBe(200);
  });

  test('only the owner can read files and folders', async () => {
    await objects.put('a/b', Buffer.from('x'));
    const mode = async (file: string): Promise<number> => (await fs.stat(path.join(root, file))).mode & 0o777;
    expect(await Promise.all(['a/b', 'a', '.tmp'].map(mode))).toEqual([0o600, 0o700, 0o700]);
  });

  describe('signed URLs', () => {
    let server: Server;
    let signed: ObjectStorage;
    beforeEach(async () => {
      server = createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url!, 'http://any');
        const key = decodeURIComponent(pathname.slice('/v1/objects/'.length));
        const query = Object.fromEntries(searchParams);
        (async () => {
          const grant = verifySignedUrl(signing, { method: request.method!, key, query });
          if (grant.method === 'PUT') {
            await objects.put(grant.key, request);
            response.writeHead(201).end();
            return;
          }
          const { stream, bytes, contentType } = await objects.get(grant.key);
          response.writeHead(200, {
            'content-type': grant.contentType ?? contentType,
            'content-length': bytes,
          });
          stream.pipe(response);
        })().catch((error: { status: number; code: string }) =>
          response.writeHead(error.status).end(error.code),
        );
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      signed = await createDiskStorage({ root, signing: { ...signing, baseUrl } });
    });
    afterEach(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });

    test('allow one method on one object, and nothing else', async () => {
      const put = await signed.signedUrl('up/x.jsonl', { method: 'PUT', expiresInS: 60 });
      expect((await fetch(put, { method: 'PUT', body: 'line\n' })).status).toBe(201);
      const get = await signed.signedUrl('up/x.jsonl', {
        method: 'GET',
        expiresInS: 60,
        filename: 'mine & yours.jsonl',
      });
      const download = await fetch(get);
      expect([download.status, download.headers.get('content-type'), await download.text()]).toEqual([
        200,
        'application/jsonl',
        'line\n',
      ]);
      expect((await fetch(get.replace('mine', 'theirs'))).status).toBe(403);
      expect((await fetch(get.replace('x.jsonl', 'y.jsonl'))).status).toBe(403);
      expect((await fetch(get.replace('/v1/objects/', '/v1/objects/..%2f'))).status).toBe(403);
      expect((await fetch(put)).status).toBe(403);
    });
  });

  test('a secret that is too short and a base URL that is not http are rejected at start', async () => {
    await expect(createDiskStorage({ root, signing: { ...signing, secret: 'short' } })).rejects.toThrow(
      /32 characters/,
    );
    await expect(createDiskStorage({ root, signing: { ...signing, baseUrl: 'file:///x' } })).rejects.toThrow(
      /http/,
    );
  });
});
