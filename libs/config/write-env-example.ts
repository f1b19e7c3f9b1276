/** `npm run env:example`: writes `.env.example`, or with `--check` says whether it is as the settings would write it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { envExample } from './env-example.ts';

const path = '.env.example';
if (!process.argv.includes('--check')) {
  writeFileSync(path, envExample());
} else if (readFileSync(path, 'utf8') !== envExample()) {
  process.stderr.write('.env.example is not what libs/config/settings.ts says. Run `npm run env:example`.\n');
  process.exitCode = 1;
}
