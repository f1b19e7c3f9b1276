/** `npm start [-- --new-key]`: runs the supervisor and prints addresses, credentials and folders. */
import { parseArgs } from 'node:util';
import type { Config } from '#config';
import { StartupError } from './startup-error.ts';
import { builtPrograms, stopOnSignals, hasColor, loadSettings } from './process-lifecycle.ts';
import { makeKeyOfRunning } from './make-key.ts';
import { createOutput } from './output.ts';
import { getCredentialsPath, listStoredKeys, readCredentials } from './stored-credentials.ts';
import { findLockHolder } from './supervisor-lock.ts';
import { createSupervisor, StoppedError } from './supervisor.ts';

const { values: args } = parseArgs({ options: { 'new-key': { type: 'boolean', default: false } } });
const config = loadSettings();
const home = config.MILLRACE_HOME;
const keysBefore = listStoredKeys(home);
const output = createOutput({
  format: config.LOG_FORMAT,
  level: config.LOG_LEVEL,
  color: hasColor(),
  write: (text) => process.stdout.write(text),
});

async function start(): Promise<void> {
  const supervisor = createSupervisor({
    config,
    env: process.env,
    output,
    programs: builtPrograms,
    newKey: args['new-key'],
  });
  stopOnSignals(supervisor, output);
  process.on('message', (message) => {
    if (message === 'reload') supervisor.reload();
  });
  await supervisor.start();
  if (config.LOG_FORMAT === 'pretty') process.stdout.write(banner(config, supervisor.url));
  else output.log(`running on ${supervisor.url}`);
  process.send?.({ running: supervisor.url });
}

try {
  const running = args['new-key'] ? await findLockHolder(home) : null;
  if (running) {
    const context = { home, onLine: output.writeChildLine, log: output.log };
    await makeKeyOfRunning(config, builtPrograms.newKey, running, context);
    process.stdout.write(`${newCredentials().map(formatRow).join('\n')}\n`);
    process.exit(0);
  }
  await start();
} catch (error) {
  // After a signal, its handler stops all processes and then exits.
  if (!(error instanceof StoppedError)) {
    const isExpected = error instanceof StartupError;
    process.stderr.write(`${isExpected ? error.message : ((error as Error).stack ?? String(error))}\n`);
    process.exit(isExpected ? error.exitCode : 1);
  }
}

/** The API key and the password are shown once, when they are made, and only on the terminal. */
function newCredentials(): string[][] {
  const made = readCredentials(getCredentialsPath(home));
  if (!made || keysBefore.has(made.apiKey)) return [];
  const isFirstKey = !args['new-key'] || keysBefore.size === 0;
  return [
    ['API key', made.apiKey],
    ...(isFirstKey && made.adminPassword ? [['admin', `${made.adminEmail}  ${made.adminPassword}`]] : []),
  ];
}

function formatRow([name = '', value = '']: readonly string[]): string {
  return `    ${name.padEnd(10)}${value}`;
}

function banner(settings: Config, url: string): string {
  const bold = (text: string): string => (hasColor() ? `\x1b[1m${text}\x1b[0m` : text);
  const database = settings.DATABASE_URL ? 'your PostgreSQL' : 'embedded PostgreSQL';
  const rows = [
    ['address', url],
    ...newCredentials(),
    ['keys', getCredentialsPath(home)],
    ['data', settings.MILLRACE_HOME],
    [
      'runs on',
      `${database}, queue on ${settings.queueBackend === 'redis' ? 'Redis' : 'the same PostgreSQL'}`,
    ],
    ['health', `${url}/health/ready`],
    ['try it', 'npm run quickstart'],
    ['stop it', 'Ctrl-C'],
  ];
  return `\n  ${bold('Millrace is running')}\n\n${rows.map(formatRow).join('\n')}\n\n`;
}
