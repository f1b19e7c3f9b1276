/** Which objects survive a power failure or a killed process: the order of syncs and renames, and what is left on disk. */
import { jest } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { createDiskStorage, type ObjectStorage } from '#storage';
import { listKeys } from './conformance/subject.ts';
import { createFolder, signing } from './disk-fixture.ts';

describe('durability of the disk storage', () => {
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

  describe('order of calls', () => {
    /** Records the calls that make bytes durable: the start of each sync, and the end of each call. Paths are relative to the root. */
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
      const sample = await open(root, 'r');
      const prototype = Object.getPrototypeOf(sample) as FileHandle;
      await sample.close();
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
    const onlyEnded = (calls: string[]): string[] => calls.filter((call) => !call.startsWith('begin'));

    test('syncs the file, renames it, syncs the folder; creates folders from the root down', async () => {
      const calls = await recordCalls();
      await objects.put('a/b/k', Buffer.from('x'));
      // The file and the new folders are synced at the same time, both before the rename.
      const all = onlyEnded(calls);
      const folders = ['mkdir a', 'sync ROOT', 'mkdir a/b', 'sync a'];
      expect(all.filter((call) => call !== 'sync TEMP')).toEqual([...folders, 'rename a/b/k', 'sync a/b']);
      expect(all.filter((call) => call === 'sync TEMP')).toHaveLength(1);
      expect(all.indexOf('sync TEMP')).toBeLessThan(all.indexOf('rename a/b/k'));
      calls.length = 0;
      await objects.put('a/b/k2', Buffer.from('x'), { ifNoneMatch: '*' });
      expect(onlyEnded(calls)).toEqual(['sync TEMP', 'link a/b/k2', 'sync a/b']);
      calls.length = 0;
      await objects.delete(['a/b/k']);
      expect(onlyEnded(calls)).toEqual(['sync a/b']);
    });

    test('puts that share a sync of their folder wait for one that began after their rename', async () => {
      await objects.put('f/0', Buffer.from('x'));
      const calls = await recordCalls();
      const puts = Array.from({ length: 40 }, async (_, at) => {
        await objects.put(`f/${at}`, Buffer.from('x'));
        const renamed = calls.lastIndexOf(`rename f/${at}`);
        expect(renamed).toBeGreaterThanOrEqual(0);
        const began = calls.indexOf('begin sync f', renamed);
        expect(began).toBeGreaterThan(renamed);
        expect(calls.indexOf('sync f', began)).toBeGreaterThan(began);
      });
      await Promise.all(puts);
      expect(calls.filter((call) => call === 'sync f').length).toBeLessThan(40);
    });

    test('a put whose sync fails is rejected and leaves no object', async () => {
      const sample = await fs.open(root, 'r');
      const prototype = Object.getPrototypeOf(sample) as FileHandle;
      await sample.close();
      const broken = Object.assign(new Error('EIO: i/o error, fsync'), {
        errno: -5,
        code: 'EIO',
        syscall: 'fsync',
      });
      jest.spyOn(prototype, 'sync').mockRejectedValueOnce(broken);
      await expect(objects.put('k', Buffer.from('x'))).rejects.toEqual(
        expect.objectContaining({ status: 503, code: 'storage_failed', cause: broken }),
      );
      expect([await listKeys(objects), await fs.readdir(temp)]).toEqual([[], []]);
    });
  });

  describe('a process killed with SIGKILL', () => {
    async function killAt(place: string, afterMs = 0): Promise<void> {
      const script = path.join(import.meta.dirname, 'killed-child.ts');
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

    test.each(['body', 'rename'])('before the rename (%s) leaves no visible object', async (place) => {
      await killAt(place);
      expect(await listKeys(objects)).toEqual([]);
      expect(await objects.head('k')).toBeNull();
      expect(await fs.readdir(temp)).toHaveLength(1);
      // A recent file may belong to a running put of another process.
      await createDiskStorage({ root, signing });
      expect(await fs.readdir(temp)).toHaveLength(1);
      const hourAgo = Date.now() / 1000 - 3700;
      await fs.utimes(path.join(temp, (await fs.readdir(temp))[0]!), hourAgo, hourAgo);
      await createDiskStorage({ root, signing });
      expect(await fs.readdir(temp)).toEqual([]);
    });

    test('after the link leaves the whole object, and the cleanup keeps it', async () => {
      await killAt('link');
      expect((await objects.read('k')).length).toBe(2_000_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await createDiskStorage({ root, signing, staleAfterMs: 10 });
      expect(await fs.readdir(temp)).toEqual([]);
      expect((await objects.read('k')).length).toBe(2_000_000);
    });

    test('at any time leaves only whole objects', async () => {
      for (const afterMs of [50, 83, 121, 190]) {
        await killAt('loop', afterMs);
        const keys = await listKeys(objects);
        expect(keys.length).toBeGreaterThan(0);
        for (const key of keys) {
          const content = await objects.read(key);
          const digit = content[0]! - 0x30;
          expect(content.equals(Buffer.alloc(100_000 + digit, String(digit)))).toBe(true);
        }
      }
    });

    test('between lock and rename of a put with ifMatch blocks the key for 10 s only', async () => {
      const { etag } = await objects.put('k', Buffer.from('x'));
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
});
