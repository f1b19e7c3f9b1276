/** Invariant 6: no secret in clear in the queue, the logs, an error message or any table; and payloads are ids. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../fault.ts';
import { inputWord } from '../input.ts';
import type { Evidence } from './evidence.ts';
import { Finding } from './finding.ts';
import { lookIntoQueue } from './queue.ts';

/** What an API key looks like, whoever's it is. */
const keyPattern = 'mr_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}';
const payloadFields = new Set(['batchId', 'taskId', 'chunk', 'generation', 'traceparent']);

export async function checkSecrets(evidence: Evidence): Promise<Check[]> {
  const secrets = [...(evidence.secrets ?? []), ...(await ownSecrets(evidence))];
  return [await inQueue(evidence, secrets), inLogs(evidence, secrets), await inTables(evidence, secrets)];
}

async function ownSecrets({ home, apiKey }: Evidence): Promise<string[]> {
  const { adminPassword } = JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8')) as {
    adminPassword: string;
  };
  const signing = await readFile(join(home, 'secret'), 'utf8').catch(() => null);
  return [apiKey, adminPassword, ...(signing ? [signing.trim()] : [])];
}

const holds = (text: string, secrets: readonly string[]): boolean =>
  secrets.some((secret) => text.includes(secret)) || new RegExp(keyPattern).test(text);

async function inQueue(evidence: Evidence, secrets: readonly string[]): Promise<Check> {
  const finding = new Finding('6 the queue carries ids only, and no secret');
  const looks = [...evidence.looks, await lookIntoQueue(evidence.queue)];
  const payloads = looks.flatMap((look) => look.payloads);
  for (const payload of payloads) {
    const fields = Object.keys(JSON.parse(payload) as object);
    const strange = fields.filter((field) => !payloadFields.has(field));
    if (strange.length > 0) finding.problem(`a payload carries ${strange.join(', ')}`);
  }
  const texts = looks.flatMap(({ payloads, rest }) => [...payloads, ...rest]);
  for (const text of texts) {
    if (holds(text, secrets)) finding.problem('a key or value of the queue holds a secret');
    if (text.includes(inputWord)) finding.problem('a key or value of the queue holds a caller’s input');
  }
  if (payloads.length === 0)
    finding.problem('the queue was never seen with a job in it: nothing was checked');
  return finding.toCheck(
    `${payloads.length} payloads and ${texts.length} other texts in ${looks.length} looks`,
  );
}

function inLogs({ logs }: Evidence, secrets: readonly string[]): Check {
  const finding = new Finding('6 no log line holds a secret or a caller’s input');
  const lines = logs().split('\n');
  for (const line of lines) {
    if (holds(line, secrets)) finding.problem('a log line holds a secret');
    if (line.includes(inputWord)) finding.problem('a log line holds a caller’s input');
  }
  return finding.toCheck(`${lines.length} lines`);
}

/** Error messages that callers read are rows too: what a line or a batch failed with. */
async function inTables({ truth }: Evidence, secrets: readonly string[]): Promise<Check> {
  const finding = new Finding('6 no table holds a secret in clear');
  const tables = await truth.rows<{ name: string }>(
    `select quote_ident(table_name) as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  for (const { name } of tables) {
    const { count } = await truth.one<{ count: number }>(
      `select count(*) as count from ${name} t
       where t::text ~ $1 or exists (select from unnest($2::text[]) s where position(s in t::text) > 0)`,
      [keyPattern, secrets],
    );
    if (count > 0) finding.problem(`${count} rows of ${name}`);
  }
  return finding.toCheck(`${tables.length} tables`);
}
