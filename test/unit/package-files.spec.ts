/** package.json, the lock files and .npmrc: what must hold for an install on any machine, with npm 10, 11 and 12. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');

interface Lock {
  readonly packages: Record<string, { name?: string; resolved?: string; link?: boolean; integrity?: string }>;
}

const readLock = (path: string) => Object.entries((JSON.parse(read(path)) as Lock).packages);

test.each(['package-lock.json', 'deploy/node-runtime/package-lock.json'])(
  '%s names no registry and has the hash of every package',
  (path) => {
    for (const [name, { resolved, link, integrity }] of readLock(path)) {
      if (!name.includes('node_modules/')) continue;
      expect([name, resolved ?? '']).toEqual([name, expect.not.stringContaining(':')]);
      expect([name, link === true || integrity !== undefined]).toEqual([name, true]);
    }
  },
);

test('onnxruntime-web, a browser build of 141 MB, is replaced', () => {
  const found = readLock('package-lock.json').filter(([path]) => path.endsWith('/onnxruntime-web'));
  expect(found.map(([, { name }]) => name)).toEqual(['onnxruntime-common']);
});

test('the npm scripts run in cmd.exe too', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const [name, script] of Object.entries(scripts)) {
    // No `exec`, no variables, no quotes that only a Unix shell knows.
    expect([name, script]).toEqual([name, expect.not.stringMatching(/\bexec\b|[$'`;]|(^|\s)\w+=\S/)]);
  }
});

test('.npmrc has only settings that npm 10, 11 and 12 know', () => {
  const names = read('.npmrc')
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0]);
  // `ignore-scripts`: no package here needs its install script, and npm 11 and 12 warn about those that they skip.
  expect(names).toEqual(['omit-lockfile-registry-resolved', 'save-exact', 'audit', 'fund', 'ignore-scripts']);
});
