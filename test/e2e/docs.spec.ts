/** The documentation's samples run as a reader would run them; its links, commands and settings exist. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { joinSamples, listPages, parseCodeBlocks, readPage } from '../support/doc-samples.ts';
import { findFreePort, startPlatform, type Platform } from '../support/platform.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const pages = listPages();
const blocks = pages.flatMap(parseCodeBlocks);
const languages = ['ts', 'js', 'python', 'sh', 'console', 'ini', 'json', 'text'];

let platform: Platform;
let folder: string;
let receiverPort: number;

beforeAll(async () => {
  receiverPort = await findFreePort();
  platform = await startPlatform({
    env: { MILLRACE_WEBHOOK_ALLOW_HOSTS: `127.0.0.1:${receiverPort}` },
  });
  folder = await mkdtemp(join(tmpdir(), 'millrace-docs-'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'dir');
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await mkdir(join(folder, '.millrace'));
  const credentials = await readFile(join(platform.home, 'credentials.json'));
  await writeFile(join(folder, '.millrace', 'credentials.json'), credentials);
});

afterAll(async () => {
  await platform?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const commands = {
  ts: ['ts', (file: string) => [process.execPath, '--disable-warning=ExperimentalWarning', file]],
  js: ['js', (file: string) => [process.execPath, file]],
  python: ['py', (file: string) => ['python3', file]],
  sh: ['sh', (file: string) => ['bash', '-euo', 'pipefail', file]],
} as const;

const programs = pages.flatMap((page) =>
  (Object.keys(commands) as (keyof typeof commands)[])
    .map((language) => ({
      page,
      language,
      samples: blocks.filter((block) => block.page === page && block.language === language && !block.file),
    }))
    // The README's first block is the two commands; other suites run them.
    .map(({ samples, ...one }) => ({ ...one, samples: samples.filter(({ code }) => !/^npm /m.test(code)) }))
    .filter(({ samples }) => samples.length > 0),
);

test.each(programs)('the $language samples of $page run', async ({ page, language, samples }) => {
  const [extension, command] = commands[language];
  const file = join(folder, `${page.replaceAll(/\W/g, '-')}.${extension}`);
  await writeFile(file, joinSamples(samples));
  const [program = '', ...args] = command(file);
  const env = {
    PATH: process.env['PATH'] ?? '',
    MILLRACE_URL: platform.url,
    MILLRACE_API_KEY: platform.apiKey,
    RECEIVER_URL: `http://127.0.0.1:${receiverPort}/hook`,
    RECEIVER_PORT: String(receiverPort),
  };
  // A failure rejects with the command's output.
  const { stdout } = await run(program, args, { cwd: folder, env, timeout: 120_000 });
  expect(stdout).not.toBe('');
});

test('every block has a language that the tests know', () => {
  const unknown = blocks.filter(({ language }) => !languages.includes(language));
  expect(unknown.map(({ page, line, language }) => `${page}:${line} ${language}`)).toEqual([]);
});

test('a block that is part of a file is in that file', () => {
  for (const { file, code } of blocks) {
    if (!file) continue;
    const source = readFileSync(join(root, file), 'utf8').replaceAll(/\s+/g, ' ');
    for (const paragraph of code.split(/\n\n|\/\/ .*\n/)) {
      expect(source).toContain(paragraph.trim().replaceAll(/\s+/g, ' '));
    }
  }
});

test('every JSON block parses', () => {
  for (const { language, code } of blocks)
    if (language === 'json') expect(() => JSON.parse(code)).not.toThrow();
});

test('every command in a console block exists', async () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const { stdout: help } = await run(process.execPath, [
    join(root, 'dist/apps/cli/src/main.js'),
    'listen',
    '--help',
  ]);
  const lines = blocks
    .filter(({ language }) => language === 'console')
    .flatMap(({ code }) => code.trim().split('\n'));
  for (const line of lines) {
    const script = /^\$ npm (?:run )?([\w:]+)/.exec(line)?.[1];
    if (script) expect(Object.keys(scripts)).toContain(script);
    else if (line.startsWith('$ npx millrace listen')) {
      for (const [option] of line.matchAll(/--[\w-]+/g)) expect(help).toContain(option);
    } else expect(line).toMatch(/^\$ export /);
  }
});

test('every setting in an ini block exists', () => {
  const known = new Set(
    [...readFileSync(join(root, '.env.example'), 'utf8').matchAll(/^#?([A-Z0-9_]+)=/gm)].map(
      ([, name]) => name,
    ),
  );
  for (const { language, code } of blocks) {
    if (language !== 'ini') continue;
    for (const [, name] of code.matchAll(/^([A-Z0-9_]+)=/gm)) expect(known).toContain(name);
  }
});

test('every link leads to a page and a heading', () => {
  const broken: string[] = [];
  for (const page of pages) {
    for (const [, target = ''] of readPage(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', heading] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, file))) broken.push(`${page}: ${target}`);
      else if (heading && !toAnchors(readPage(file)).has(heading)) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
});

test('docs/README.md and docs/llms.txt list every page', () => {
  const llms = readFileSync(join(root, 'docs/llms.txt'), 'utf8');
  const index = readPage('docs/README.md');
  const listed = pages.filter((page) => page !== 'README.md' && page !== 'docs/README.md');
  for (const page of listed) {
    const path = page.slice('docs/'.length);
    if (path.startsWith('decisions/')) continue; // listed in decisions/README.md
    expect(index).toContain(path);
    if (!path.startsWith('guides/add-')) expect(llms).toContain(path);
  }
  const decisions = readPage('docs/decisions/README.md');
  for (const page of listed) {
    const name = /^docs\/decisions\/(\d.*)$/.exec(page)?.[1];
    if (name) expect(decisions).toContain(name);
  }
});

/** GitHub's anchors of a page's headings. */
function toAnchors(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
