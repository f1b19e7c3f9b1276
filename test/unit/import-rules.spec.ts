import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

interface Report {
  summary: { violations: { rule: { name: string } }[] };
}

async function brokenRules(folder: string, ...targets: string[]): Promise<string[]> {
  const cruiser = `${root}node_modules/dependency-cruiser/bin/dependency-cruise.mjs`;
  const config = `${root}.dependency-cruiser.cjs`;
  const args = [cruiser, ...targets, '--config', config, '--output-type', 'json'];
  // It exits with the number of errors; the report is on stdout all the same.
  const { stdout } = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 28 }).catch(
    (error: { stdout: string }) => error,
  );
  return [...new Set((JSON.parse(stdout) as Report).summary.violations.map(({ rule }) => rule.name))].sort();
}

test('the import rules catch the fixture that breaks them, through subpath imports', async () => {
  expect(await brokenRules(`${root}test/fixtures/import-rules`, 'libs')).toEqual([
    'domain-is-pure',
    'infrastructure-stands-alone',
  ]);
});

test('the project itself breaks none', async () => {
  expect(await brokenRules(root, 'apps', 'libs', 'packages', 'deploy')).toEqual([]);
});
