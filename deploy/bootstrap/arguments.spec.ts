import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** As npm does it. With a wrong or no argument it would install, build and start: such a run is not tested here. */
function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['deploy/bootstrap.mjs', ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const scripts = [
  'start',
  'quickstart',
  'dev',
  'build',
  'test',
  'test:unit',
  'check',
  'chaos',
  'bench',
  'upstream',
];

test.each(
  scripts.flatMap((name) => [
    [name, '--help'],
    [name, '-h'],
  ]),
)('%s %s prints help', (name, option) => {
  const { status, stdout, stderr } = run(name, option);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(new RegExp(`^Usage: npm (run )?${name}\\b`));
  expect(stdout).toContain('-h, --help');
});

test.each([
  ['start', '--new-kye', 'Unknown option: --new-kye'],
  ['start', 'now', 'Unknown argument: now'],
  ['start', '--new-key=yes', "Option '--new-key' does not take an argument"],
  ['quickstart', '--exti', 'Unknown option: --exti'],
  ['quickstart', '--lines=abc', "--lines must be a whole number, not 'abc'"],
  ['dev', '--watch', 'Unknown option: --watch'],
  ['dev', '-x', 'Unknown option: -x'],
  ['test', '--runInBnd', 'Unknown option: --runInBnd'],
  ['bench', '--line=3', 'Unknown option: --line'],
  ['chaos', '--fast', 'Unknown option: --fast'],
  ['upstream', '--port', "Option '--port <value>' argument missing"],
])('%s %s is refused before anything runs', (name, argument, problem) => {
  const { status, stdout, stderr } = run(name, argument);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr.split('\n')[0]).toBe(problem);
  expect(stderr).toContain('Usage: npm');
});

test.each([
  ['start', 'deploy/embedded/start.ts'],
  ['quickstart', 'deploy/quickstart.ts'],
  ['chaos', 'test/chaos/main.ts'],
  ['bench', 'test/bench/main.ts'],
])('the help of %s has the options of its program', (name, path) => {
  const source = readFileSync(resolve(root, path), 'utf8');
  const [options = ''] = /parseArgs\(\{[^]*?\n?\}\);/.exec(source) ?? [];
  const names = [...options.matchAll(/['"]?([\w-]+)['"]?: \{ type:/g)].map(([, option]) => `--${option}`);
  expect(names.length).toBeGreaterThan(0);
  const listed = [...run(name, '--help').stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(
    ([, option]) => option,
  );
  expect(listed.filter((option) => option !== '--help').sort()).toEqual(names.sort());
});
