/** `npm start`: runs the supervisor and prints addresses, credentials and folders. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '#config';
import { StartupError } from './startup-error.ts';
import { builtPrograms, stopOnSignals, hasColor, loadSettings } from './process-lifecycle.ts';
import { createOutput } from './output.ts';
import { createSupervisor, StoppedError } from './supervisor.ts';

const config = loadSettings();
const credentialsPath = join(config.MILLRACE_HOME, 'credentials.json');
const isFirst = !existsSync(credentialsPath);
const output = createOutput({
  format: config.LOG_FORMAT,
  level: config.LOG_LEVEL,
  color: hasColor(),
  write: (text) => process.stdout.write(text),
});
const supervisor = createSupervisor({ config, env: process.env, output, programs: builtPrograms });
stopOnSignals(supervisor, output);
process.on('message', (message) => {
  if (message === 'reload') supervisor.reload();
});

try {
  await supervisor.start();
  if (config.LOG_FORMAT === 'pretty') process.stdout.write(banner(config, supervisor.url));
  else output.log(`running on ${supervisor.url}`);
  process.send?.({ running: supervisor.url });
} catch (error) {
  // After a signal, its handler stops all processes and then exits.
  if (!(error instanceof StoppedError)) {
    const text = error instanceof StartupError ? error.message : ((error as Error).stack ?? String(error));
    process.stderr.write(`${text}\n`);
    process.exit(1);
  }
}

/** The API key and the password are shown once, at the first start, and only on the terminal. */
function firstCredentials(): string[][] {
  if (!isFirst || !existsSync(credentialsPath)) return [];
  const made = JSON.parse(readFileSync(credentialsPath, 'utf8')) as Record<
    'apiKey' | 'adminEmail' | 'adminPassword',
    string
  >;
  return [
    ['API key', made.apiKey],
    ['admin', `${made.adminEmail}  ${made.adminPassword}`],
  ];
}

function banner(settings: Config, url: string): string {
  const bold = (text: string): string => (hasColor() ? `\x1b[1m${text}\x1b[0m` : text);
  const database = settings.DATABASE_URL ? 'your PostgreSQL' : 'embedded PostgreSQL';
  const rows = [
    ['address', url],
    ...firstCredentials(),
    ['keys', credentialsPath],
    ['data', settings.MILLRACE_HOME],
    [
      'runs on',
      `${database}, queue on ${settings.queueBackend === 'redis' ? 'Redis' : 'the same PostgreSQL'}`,
    ],
    ['health', `${url}/health/ready`],
    ['try it', 'npm run quickstart'],
    ['stop it', 'Ctrl-C'],
  ];
  const lines = rows.map(([name, value]) => `    ${name?.padEnd(10)}${value}`);
  return `\n  ${bold('Millrace is running')}\n\n${lines.join('\n')}\n\n`;
}
