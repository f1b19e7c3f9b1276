/** Invariant 6: no plaintext secret in the queue, the logs or any table, and job payloads hold ids, and the route of a task. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../fault.ts';
import { inputWord } from '../batch-input.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';
import { readQueue } from './queue.ts';

/** Matches any API key. */
const keyPattern = 'mr_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}';
const payloadFields = new Set(['batchId', 'taskId', 'chunk', 'generation', 'traceparent']);
const routeFields = new Set(['workspaceId', 'kind', 'model']);

export async function checkSecrets(context: CheckContext): Promise<Check[]> {
  const secrets = [...(context.secrets ?? []), ...(await readOwnSecrets(context))];
  return [
    await checkQueue(context, secrets),
    checkLogs(context, secrets),
    await checkTables(context, secrets),
  ];
}

async function readOwnSecrets({ home, apiKey }: CheckContext): Promise<string[]> {
  const { adminPassword } = JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8')) as {
    adminPassword: string;
  };
  const signing = await readFile(join(home, 'secret'), 'utf8').catch(() => null);
  return [apiKey, adminPassword, ...(signing ? [signing.trim()] : [])];
}

const hasSecret = (text: string, secrets: readonly string[]): boolean =>
  secrets.some((secret) => text.includes(secret)) || new RegExp(keyPattern).test(text);

async function checkQueue(context: CheckContext, secrets: readonly string[]): Promise<Check> {
  const problems = new ProblemList('6 the queue holds ids and routes only, and no secret');
  const queueSnapshots = [...context.queueSnapshots, await readQueue(context.queue)];
  const payloads = queueSnapshots.flatMap((snapshot) => snapshot.payloads);
  for (const payload of payloads) {
    const { route = {}, ...others } = JSON.parse(payload) as { readonly route?: object };
    const unexpected = [
      ...Object.keys(others).filter((field) => !payloadFields.has(field)),
      ...Object.keys(route).filter((field) => !routeFields.has(field)),
    ];
    if (unexpected.length > 0) problems.add(`a payload has the fields ${unexpected.join(', ')}`);
  }
  const texts = queueSnapshots.flatMap(({ payloads, rest }) => [...payloads, ...rest]);
  for (const text of texts) {
    if (hasSecret(text, secrets)) problems.add('a key or value of the queue contains a secret');
    if (text.includes(inputWord)) problems.add('a key or value of the queue contains a caller’s input');
  }
  if (payloads.length === 0) problems.add('no snapshot of the queue has a job: nothing was checked');
  return problems.toCheck(
    `${payloads.length} payloads and ${texts.length} other texts in ${queueSnapshots.length} snapshots`,
  );
}

function checkLogs({ logs }: CheckContext, secrets: readonly string[]): Check {
  const problems = new ProblemList('6 no log line contains a secret or a caller’s input');
  const lines = logs().split('\n');
  for (const line of lines) {
    if (hasSecret(line, secrets)) problems.add('a log line contains a secret');
    if (line.includes(inputWord)) problems.add('a log line contains a caller’s input');
  }
  return problems.toCheck(`${lines.length} lines`);
}

/** This includes error messages that callers read: they are stored in rows. */
async function checkTables({ database }: CheckContext, secrets: readonly string[]): Promise<Check> {
  const problems = new ProblemList('6 no table contains a plaintext secret');
  const tables = await database.rows<{ name: string }>(
    `select quote_ident(table_name) as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  for (const { name } of tables) {
    const { count } = await database.one<{ count: number }>(
      `select count(*) as count from ${name} t
       where t::text ~ $1 or exists (select from unnest($2::text[]) s where position(s in t::text) > 0)`,
      [keyPattern, secrets],
    );
    if (count > 0) problems.add(`${count} rows of ${name}`);
  }
  return problems.toCheck(`${tables.length} tables`);
}
