/** `npm run settings`: writes `.env.example` and docs/reference/settings.md. With `--check`, fails if one is out of date. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { buildEnvExample } from './env-example.ts';
import { buildSettingsPage } from './settings-page.ts';

const files = {
  '.env.example': buildEnvExample(),
  'docs/reference/settings.md': buildSettingsPage(),
};

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

for (const [path, text] of Object.entries(files)) {
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } else if (read(path) !== text) {
    process.stderr.write(`${path} does not match libs/config/settings. Run \`npm run settings\`.\n`);
    process.exitCode = 1;
  }
}
