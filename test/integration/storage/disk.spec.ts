/** The conformance suite on the disk adapter, then what only a disk can do wrong. */
import { jest } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDiskStorage, verifySignedUrl, type ObjectStorage } from '#storage';
import { objectStorageConformance } from './conformance.ts';

const signing = { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' };
const here = import.meta.dirname;

async function emptyFolder(): Promise<string> {
  return fs.mkdtemp(path.join(tmpdir(), 'millrace-store-'));
}

objectStorageConformance('disk', async () => {
  const root = await emptyFolder();
  return {
    objects: await createDiskStorage({ root, signing }),
    countUnfinished: async () => (await fs.readdir(path.join(root, '.tmp'))).length,
    cleanup: () => fs.rm(root, { recursive: true }),
  };
});

describe('the disk store', () => {
  let root: string;
  let temp: string;
  let objects: ObjectStorage;
  beforeEach(async () => {
    root = await emptyFolder();
    temp = path.join(root, '.tmp');
    objects = await createDiskStorage({ root, signing });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await objects.close();
    await fs.rm(root, { recursive: true });
  });

  const keysOf = async (of: ObjectStorage): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of of.list('')) keys.push(key);
    return keys;
  };

  describe('durability', () => {
    /** The calls that make bytes durable, in the order in which they began and ended; paths from the root. */
    async function recordCalls(): Promise<string[]> {
      const calls: string[] = [];
      const paths = new WeakMap<FileHandle, string>();
      const name = (file: unknown): string =>
        path.relative(root, String(file)).replace(/^\.tmp\/.*/, 'TEMP') || 'ROOT';
      const recorded = async <T>(label: string, run: () => Promise<T>): Promise<T> => {
        const result = await run();
        calls.push(label);
        return result;
      };
      const { open, rename, mkdir, link } = fs;
      const probe = await open(root, 'r');
      const prototype = Object.getPrototypeOf(probe) as FileHandle;
      await probe.close();
      const sync: (this: FileHandle) => Promise<void> = Reflect.get(prototype, 'sync');
      jest.spyOn(fs, 'open').mockImplementation(async (...args) => {
        const handle = await open(...args);
        paths.set(handle, name(args[0]));
        return handle;
      });
      jest.spyOn(prototype, 'sync').mockImplementation(function (this: FileHandle) {
        calls.push(`begin sync ${paths.get(this)}`);
        return recorded(`sync ${paths.get(this)}`, () => sync.call(this));
      });
      jest
        .spyOn(fs, 'rename')
        .mockImplementation((from, to) => recorded(`rename ${name(to)}`, () => rename(from, to)));
      jest
        .spyOn(fs, 'link')
        .mockImplementation((from, to) => recorded(`link ${name(to)}`, () => link(from, to)));
      jest
        .spyOn(fs, 'mkdir')
        .mockImplementation((at, options) =>
          recorded(`mkdir ${name(at)}`, () => mkdir(at, options as { mode: number }) as Promise<undefined>),
        );
      return calls;
    }
    const ended = (calls: string[]): string[] => calls.filter((call) => !call.startsWith('begin'));

    test('the file first, then its name, then the folder; new folders from the root down', async () => {
      const calls = await recordCalls();
      await objects.put('a/b/k', Buffer.from('x'));
      // The file's bytes and the new folders beside each other, and both before the name.
      const all = ended(calls);
      const folders = ['mkdir a', 'sync ROOT', 'mkdir a/b', 'sync a'];
      expect(all.filter((call) => call !== 'sync TEMP')).toEqual([...folders, 'rename a/b/k', 'sync a/b']);
      expect(all.filter((call) => call === 'sync TEMP')).toHaveLength(1);
      expect(all.indexOf('sync TEMP')).toBeLessThan(all.indexOf('rename a/b/k'));
      calls.length = 0;
      await objects.put('a/b/k2', Buffer.from('x'), { ifNoneMatch: '*' });
      expect(ended(calls)).toEqual(['sync TEMP', 'link a/b/k2', 'sync a/b']);
      calls.length = 0;
      await objects.delete(['a/b/k']);
      expect(ended(calls)).toEqual(['sync a/b']);
    });

    test('puts that share a sync of their folder each have one that began after their rename', async () => {
      await objects.put('f/0', Buffer.from('x'));
      const calls = await recordCalls();
      const lanes = Array.from({ length: 40 }, async (_, at) => {
        await objects.put(`f/${at}`, Buffer.from('x'));
        const renamed = calls.lastIndexOf(`rename f/${at}`);
        expect(renamed).toBeGreaterThanOrEqual(0);
        const began = calls.indexOf('begin sync f', renamed);
        expect(began).toBeGreaterThan(renamed);
        expect(calls.indexOf('sync f', began)).toBeGreaterThan(began);
      });
      await Promise.all(lanes);
      expect(calls.filter((call) => call === 'sync f').length).toBeLessThan(40);
    });

    test('a sync that fails is a put that fails, and leaves no object', async () => {
      const probe = await fs.open(root, 'r');
      const prototype = Object.getPrototypeOf(probe) as FileHandle;
      await probe.close();
      const broken = Object.assign(new Error('EIO: i/o error, fsync'), {
        errno: -5,
        code: 'EIO',
        syscall: 'fsync',
      });
      jest.spyOn(prototype, 'sync').mockRejectedValueOnce(broken);
      await expect(objects.put('k', Buffer.from('x'))).rejects.toEqual(
        expect.objectContaining({ status: 503, code: 'storage_failed', cause: broken }),
      );
      expect([await keysOf(objects), await fs.readdir(temp)]).toEqual([[], []]);
    });
  });

  describe('a process killed with -9', () => {
    async function killAt(place: string, afterMs = 0): Promise<void> {
      const script = path.join(here, 'killed-child.ts');
      const child = spawn(
        process.execPath,
        ['--conditions=source', '--experimental-transform-types', '--no-warnings', script, root, place],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill('SIGKILL');
      await once(child, 'exit');
    }

    test.each(['body', 'rename'])(
      'before its object has a name (%s) leaves nothing that can be seen',
      async (place) => {
        await killAt(place);
        expect(await keysOf(objects)).toEqual([]);
        expect(await objects.head('k')).toBeNull();
        expect(await fs.readdir(temp)).toHaveLength(1);
        // Young: it might be a put under way in another process.
        await createDiskStorage({ root, signing });
        expect(await fs.readdir(temp)).toHaveLength(1);
        const hourAgo = Date.now() / 1000 - 3700;
        await fs.utimes(path.join(temp, (await fs.readdir(temp))[0]!), hourAgo, hourAgo);
        await createDiskStorage({ root, signing });
        expect(await fs.readdir(temp)).toEqual([]);
      },
    );

    test('after it (link) leaves the whole object, and the sweep does not touch it', async () => {
      await killAt('link');
      expect((await objects.read('k')).length).toBe(2_000_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await createDiskStorage({ root, signing, staleAfterMs: 10 });
      expect(await fs.readdir(temp)).toEqual([]);
      expect((await objects.read('k')).length).toBe(2_000_000);
    });

    test('anywhere leaves only whole objects', async () => {
      for (const afterMs of [50, 83, 121, 190]) {
        await killAt('loop', afterMs);
        const keys = await keysOf(objects);
        expect(keys.length).toBeGreaterThan(0);
        for (const key of keys) {
          const content = await objects.read(key);
          const digit = content[0]! - 0x30;
          expect(content.equals(Buffer.alloc(100_000 + digit, String(digit)))).toBe(true);
        }
      }
    });

    test('between lock and rename of an ifMatch does not hold up the key for ever', async () => {
      const { etag } = await objects.put('k', Buffer.from('x'));
      const { createHash } = await import('node:crypto');
      const lock = path.join(temp, `lock-${createHash('sha256').update(path.join(root, 'k')).digest('hex')}`);
      await fs.writeFile(lock, '');
      const put = objects.put('k', Buffer.from('y'), { ifMatch: etag });
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect((await objects.read('k')).toString()).toBe('x');
      await fs.utimes(lock, Date.now() / 1000 - 11, Date.now() / 1000 - 11);
      await put;
      expect((await objects.read('k')).toString()).toBe('y');
      expect(await fs.readdir(temp)).toEqual([]);
    });
  });

  describe('a disk that refuses', () => {
    test('full: 507 and nothing half-written; it goes on when there is room', async () => {
      const child = [
        process.execPath,
        '--conditions=source',
        '--experimental-transform-types',
        '--no-warnings',
        path.join(here, 'full-disk-child.ts'),
        root,
      ];
      const script = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"';
      const own = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
      const run = spawnSync('unshare', [...own, '--mount', 'sh', '-c', script, root, ...child], {
        encoding: 'utf8',
      });
      if (run.stdout === '' && /not permitted|ENOENT|unshare|mount/.test(run.stderr ?? String(run.error))) {
        console.warn(
          `NOT TESTED: a full disk, as this machine lets nobody mount one: ${run.stderr ?? String(run.error)}`,
        );
        return;
      }
      const full = {
        name: 'Unavailable',
        status: 507,
        code: 'storage_full',
        message: expect.stringMatching(/full/),
      };
      expect(JSON.parse(run.stdout)).toEqual({
        before: 'ok',
        stream: full,
        buffer: full,
        replacing: full,
        firstIsKept: 2 * 1_048_576,
        second: null,
        temporary: [],
        smallStillFits: 'ok',
        freed: 'ok',
        after: 'ok',
      });
    });

    const refusals: [string, object][] = [
      ['ENOSPC', { status: 507, code: 'storage_full' }],
      ['EDQUOT', { status: 507, code: 'storage_full' }],
      ['EACCES', { status: 503, code: 'storage_denied' }],
      ['EROFS', { status: 503, code: 'storage_denied' }],
      ['EMFILE', { status: 503, code: 'storage_busy' }],
      ['EXDEV', { status: 503, code: 'storage_failed' }],
    ];
    test.each(refusals)('%s at the rename', async (code, expected) => {
      const error = Object.assign(new Error(`${code}: rename '${root}'`), {
        errno: -1,
        code,
        syscall: 'rename',
      });
      jest.spyOn(fs, 'rename').mockRejectedValueOnce(error);
      const put = objects.put('k', Buffer.from('x'));
      await expect(put).rejects.toEqual(expect.objectContaining({ name: 'Unavailable', ...expected }));
      // What reaches a client says nothing of where the server keeps its files.
      await expect(put).rejects.not.toThrow(root);
      expect([await keysOf(objects), await fs.readdir(temp)]).toEqual([[], []]);
    });

    test('a probe fails when it can not write', async () => {
      const error = Object.assign(new Error('EROFS: open'), { errno: -30, code: 'EROFS', syscall: 'open' });
      jest.spyOn(fs, 'open').mockRejectedValueOnce(error);
      await expect(objects.probe()).rejects.toEqual(expect.objectContaining({ code: 'storage_denied' }));
    });

    test('a root that is a file, or may not be written: one message that names it', async () => {
      const file = path.join(root, 'a-file');
      await fs.writeFile(file, '');
      await expect(createDiskStorage({ root: file, signing })).rejects.toThrow(
        `folder ${file} can't be used`,
      );
      const access = jest.spyOn(fs, 'access');
      access.mockRejectedValueOnce(Object.assign(new Error('EACCES'), { errno: -13, code: 'EACCES' }));
      await expect(createDiskStorage({ root, signing })).rejects.toThrow(
        `folder ${root} can't be used (EACCES)`,
      );
      expect(access).toHaveBeenCalledWith(root, constants.R_OK | constants.W_OK | constants.X_OK);
    });
  });

  test('a key may not be the folder of another', async () => {
    await objects.put('a/b', Buffer.from('x'));
    const refused = expect.objectContaining({ code: 'key_is_folder' });
    await expect(objects.put('a', Buffer.from('x'))).rejects.toEqual(refused);
    await expect(objects.put('a/b/c', Buffer.from('x'))).rejects.toEqual(refused);
    await expect(objects.put('a', Buffer.from('x'), { ifNoneMatch: '*' })).rejects.toEqual(
      expect.objectContaining({ status: 409 }),
    );
    expect([await keysOf(objects), await fs.readdir(temp)]).toEqual([['a/b'], []]);
  });

  test('a segment cut short on the disk is found by its size', async () => {
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

  test("folders that a deletion empties go with it, and files that are not the store's are left alone", async () => {
    await fs.writeFile(path.join(root, '.DS_Store'), '');
    await fs.mkdir(path.join(root, 'lost+found'));
    await objects.put('a/b/c/1', Buffer.from('x'));
    await objects.put('a/2', Buffer.from('x'));
    expect(await keysOf(objects)).toEqual(['a/2', 'a/b/c/1']);
    await objects.delete(['a/b/c/1']);
    expect(await fs.readdir(path.join(root, 'a'))).toEqual(['2']);
    await objects.delete(['a/2']);
    expect((await fs.readdir(root)).sort()).toEqual(['.DS_Store', '.tmp', 'lost+found']);
  });

  test("two stores on one folder keep out of each other's way", async () => {
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
      const won = (await Promise.allSettled(puts)).flatMap((o) =>
        o.status === 'fulfilled' ? [o.value] : [],
      );
      expect(won).toHaveLength(1);
      etag = won[0]!.etag;
    }
  });

  test('no two puts have the same time, even within one tick: a reused inode never brings an old etag back', async () => {
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

  test('every put gives another etag, even of the same bytes in quick succession', async () => {
    const etags = new Set<string>();
    for (let time = 0; time < 200; time++)
      etags.add((await objects.put('k', Buffer.from(`same ${time % 10}`))).etag);
    expect(etags.size).toBe(200);
  });

  test('files and folders are readable by their owner alone', async () => {
    await objects.put('a/b', Buffer.from('x'));
    const mode = async (file: string): Promise<number> => (await fs.stat(path.join(root, file))).mode & 0o777;
    expect(await Promise.all(['a/b', 'a', '.tmp'].map(mode))).toEqual([0o600, 0o700, 0o700]);
  });

  describe('signed URLs, served', () => {
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

    test('put and get one object, and nothing else', async () => {
      const put = await signed.signedUrl('up/x.jsonl', { method: 'PUT', expiresInS: 60 });
      expect((await fetch(put, { method: 'PUT', body: 'line\n' })).status).toBe(201);
      const get = await signed.signedUrl('up/x.jsonl', {
        method: 'GET',
        expiresInS: 60,
        filename: 'mine & yours.jsonl',
      });
      const answer = await fetch(get);
      expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
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

  test('a secret too short to trust, or a base that is no web address, is refused at once', async () => {
    await expect(createDiskStorage({ root, signing: { ...signing, secret: 'short' } })).rejects.toThrow(
      /32 characters/,
    );
    await expect(createDiskStorage({ root, signing: { ...signing, baseUrl: 'file:///x' } })).rejects.toThrow(
      /http/,
    );
  });
});
