/** Errors of the operating system: a full disk, missing permissions, too many open files, folders that can't be used. */
import { jest } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { createDiskStorage, type ObjectStorage } from '#storage';
import { listKeys } from './conformance/subject.ts';
import { createFolder, signing } from './disk-fixture.ts';

describe('errors of the disk storage', () => {
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

  test('a full disk: 507 and no partial object; puts succeed again when space is freed', async () => {
    const child = [
      process.execPath,
      '--conditions=source',
      '--experimental-transform-types',
      '--no-warnings',
      path.join(import.meta.dirname, 'full-disk-child.ts'),
      root,
    ];
    const script = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"';
    const userNamespace = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const run = spawnSync('unshare', [...userNamespace, '--mount', 'sh', '-c', script, root, ...child], {
      encoding: 'utf8',
    });
    if (run.stdout === '' && /not permitted|ENOENT|unshare|mount/.test(run.stderr ?? String(run.error))) {
      console.warn(
        `NOT TESTED: a full disk, because this machine does not allow a mount: ${run.stderr ?? String(run.error)}`,
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
      firstBytes: 2 * 1_048_576,
      second: null,
      tempFiles: [],
      smallStillFits: 'ok',
      freed: 'ok',
      after: 'ok',
    });
  });

  const systemErrors: [string, object][] = [
    ['ENOSPC', { status: 507, code: 'storage_full' }],
    ['EDQUOT', { status: 507, code: 'storage_full' }],
    ['EACCES', { status: 503, code: 'storage_denied' }],
    ['EROFS', { status: 503, code: 'storage_denied' }],
    ['EMFILE', { status: 503, code: 'storage_busy' }],
    ['EXDEV', { status: 503, code: 'storage_failed' }],
  ];
  test.each(systemErrors)('%s from rename', async (code, expected) => {
    const error = Object.assign(new Error(`${code}: rename '${root}'`), {
      errno: -1,
      code,
      syscall: 'rename',
    });
    jest.spyOn(fs, 'rename').mockRejectedValueOnce(error);
    const put = objects.put('k', Buffer.from('x'));
    await expect(put).rejects.toEqual(expect.objectContaining({ name: 'Unavailable', ...expected }));
    // The message reaches clients, so it has no path of the server.
    await expect(put).rejects.not.toThrow(root);
    expect([await listKeys(objects), await fs.readdir(temp)]).toEqual([[], []]);
  });

  test("a probe fails when it can't write", async () => {
    const error = Object.assign(new Error('EROFS: open'), { errno: -30, code: 'EROFS', syscall: 'open' });
    jest.spyOn(fs, 'open').mockRejectedValueOnce(error);
    await expect(objects.probe()).rejects.toEqual(expect.objectContaining({ code: 'storage_denied' }));
  });

  test('a root that is a file or not writable: a message with its path', async () => {
    const file = path.join(root, 'a-file');
    await fs.writeFile(file, '');
    await expect(createDiskStorage({ root: file, signing })).rejects.toThrow(
      `folder ${file} of the object storage can't be used`,
    );
    const access = jest.spyOn(fs, 'access');
    access.mockRejectedValueOnce(Object.assign(new Error('EACCES'), { errno: -13, code: 'EACCES' }));
    await expect(createDiskStorage({ root, signing })).rejects.toThrow(
      `folder ${root} of the object storage can't be used (EACCES)`,
    );
    expect(access).toHaveBeenCalledWith(root, constants.R_OK | constants.W_OK | constants.X_OK);
  });
});
