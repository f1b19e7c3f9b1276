/** The disk of the data folder becomes full while a batch runs: nothing is lost, and the batch completes when space is freed. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const resolvePath = (path: string) => fileURLToPath(new URL(path, import.meta.url));

test('a disk that is full during a batch: chunks wait, an upload gets 507, and the batch completes when space is freed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-full-'));
  const script = 'mount -t tmpfs -o size=24m tmpfs "$TMPDIR" && exec "$@"';
  const userNamespace = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const node = [
    process.execPath,
    '--conditions=source',
    '--import',
    resolvePath('../support/typescript.mjs'),
    resolvePath('full-disk-child.ts'),
  ];
  const child = spawn('unshare', [...userNamespace, '--mount', 'sh', '-c', script, 'sh', ...node], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const spawnError = new Promise<string>((resolve) => child.once('error', (error) => resolve(String(error))));
  const [stdout, stderr] = await Promise.race([
    Promise.all([text(child.stdout), text(child.stderr)]),
    spawnError.then((error) => ['', error]),
  ]);
  await rm(folder, { recursive: true, force: true });
  if (stdout === '' && /not permitted|ENOENT|unshare:|mount:/.test(stderr)) {
    console.warn(`NOT TESTED: a full disk, because this machine does not allow a mount: ${stderr}`);
    return;
  }
  expect(stdout === '' ? stderr : JSON.parse(stdout)).toEqual({
    failures: ['storage_full'],
    whileFull: { status: 507, code: 'storage_full', retryAfter: true },
    statusWhileFull: 'in_progress',
    counts: { total: 600, completed: 600, failed: 0 },
    records: 600,
    afterwards: 200,
    missing: [],
    temporary: [],
  });
});
