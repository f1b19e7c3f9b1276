import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

interface Report {
  summary: { violations: { rule: { name: string } }[] };
}

async function listBrokenRules(folder: string, ...targets: string[]): Promise<string[]> {
  const cruiser = `${root}node_modules/dependency-cruiser/bin/dependency-cruise.mjs`;
  const config = `${root}.dependency-cruiser.cjs`;
  const args = [cruiser, ...targets, '--config', config, '--output-type', 'json'];
  // Its exit code is the number of errors. The report is on stdout in any case.
  const { stdout } = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 28 }).catch(
    (error: { stdout: string }) => error,
  );
  return [...new Set((JSON.parse(stdout) as Report).summary.violations.map(({ rule }) => rule.name))].sort();
}

test('the import rules find the violations of the fixture, also through package imports', async () => {
  expect(await listBrokenRules(`${root}test/fixtures/import-rules`, 'apps', 'libs', 'packages')).toEqual([
    'apps-import-no-app',
    'contracts-import-nothing-of-ours',
    'domain-is-pure',
    'infrastructure-stands-alone',
    'libs-through-their-index',
    'packages-use-no-node-api',
    'sdk-imports-contracts-only',
  ]);
});

test('the project has no violations', async () => {
  expect(await listBrokenRules(root, 'apps', 'libs', 'packages', 'deploy', 'tools')).toEqual([]);
});
