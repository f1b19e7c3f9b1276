/**
 * `npm run quickstart [-- --exit] [--lines N]`: starts the platform unless it already runs, sends a batch of embeddings
 * through the `openai` client, and shows its progress and results. The platform keeps running unless `--exit` is given.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import OpenAI, { toFile } from 'openai';
import { StartupError } from './embedded/startup-error.ts';
import { builtPrograms, stopOnSignals, hasColor, loadSettings } from './embedded/process-lifecycle.ts';
import { findLockHolder } from './embedded/supervisor-lock.ts';
import { createOutput } from './embedded/output.ts';
import { createSupervisor, StoppedError, type Supervisor } from './embedded/supervisor.ts';
import { checkOutput } from './quickstart/check-output.ts';
import { assertExpectedAnswer, findNearest, questions } from './quickstart/find-nearest.ts';
import { createProgressBar } from './quickstart/progress-bar.ts';
import { buildBatchFile, buildSentences } from './quickstart/sentences.ts';
import { watchBatch } from './quickstart/watch-batch.ts';

const { values: args } = parseArgs({
  options: { exit: { type: 'boolean', default: false }, lines: { type: 'string', default: '5000' } },
});
const model = 'local/demo-embedder';
/** The sentences have a fixed order. The first ones, up to this number, include the answers of all questions. */
const sentencesWithAnswers = 5_000;
const number = new Intl.NumberFormat('en-US');
const config = loadSettings();
const bold = (text: string): string => (hasColor() ? `\x1b[1m${text}\x1b[0m` : text);
const dim = (text: string): string => (hasColor() ? `\x1b[2m${text}\x1b[0m` : text);
const print = (text = ''): void => void process.stdout.write(`${text}\n`);

/** The platform's own output is collected here while the demonstration runs, and printed if it fails. */
let hiddenLines: string[] | null = [];
const output = createOutput({
  format: config.LOG_FORMAT,
  level: config.LOG_LEVEL,
  color: hasColor(),
  write(text) {
    if (!hiddenLines) process.stdout.write(text);
    else if (hiddenLines.push(text) > 200) hiddenLines.shift();
  },
});

let supervisor = null as Supervisor | null;

/** @returns the URL of the API. */
async function startOrFind(): Promise<string> {
  const running = await findLockHolder(config.MILLRACE_HOME);
  if (running) {
    print(`${bold('1')}  Millrace is already running: ${running.url}`);
    return running.url;
  }
  print(`${bold('1')}  Starting Millrace …`);
  const startedAt = performance.now();
  supervisor = createSupervisor({ config, env: process.env, output, programs: builtPrograms });
  stopOnSignals(supervisor, output);
  await supervisor.start();
  print(`   started in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s: ${supervisor.url}`);
  return supervisor.url;
}

function readKey(path: string): string {
  if (!existsSync(path))
    throw new StartupError(
      `${path} does not exist: set MILLRACE_HOME to the data folder of the running Millrace.`,
    );
  return (JSON.parse(readFileSync(path, 'utf8')) as { apiKey: string }).apiKey;
}

async function runDemo(url: string, apiKey: string): Promise<void> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey });
  const input = buildSentences(Math.min(Math.max(1, Number(args.lines) || 5_000), 5_120));
  const requests = [...input, ...questions];
  const file = Buffer.from(buildBatchFile(requests, model));
  print(
    `${bold('2')}  Uploading ${number.format(input.length)} sentences and ${questions.length} questions as JSONL (${number.format(Math.ceil(file.length / 1_000))} kB)`,
  );
  const uploaded = await client.files.create({
    file: await toFile(file, 'sentences.jsonl'),
    purpose: 'batch',
  });

  const startedAt = performance.now();
  const created = await client.batches.create({
    input_file_id: uploaded.id,
    endpoint: '/v1/embeddings',
    completion_window: '24h',
  });
  print(`${bold('3')}  Batch ${created.id}: /v1/embeddings with ${model}`);
  const bar = createProgressBar(process.stdout);
  const { batch, pushes } = await watchBatch({ client, url, apiKey, id: created.id }, (state) => {
    const { total, completed, failed } = state.request_counts ?? { total: 0, completed: 0, failed: 0 };
    bar.update(completed + failed, total, state.status);
  });
  bar.finish();
  const durationMs = performance.now() - startedAt;
  if (batch.status !== 'completed' || !batch.output_file_id) {
    const reason = batch.errors?.data?.[0]?.message ?? `see /v1/batches/${batch.id}`;
    throw new Error(`The batch ended as ${batch.status}: ${reason}`);
  }

  const text = await (await client.files.content(batch.output_file_id)).text();
  const { vectors, dimensions } = checkOutput(
    text,
    requests.map(({ id }) => id),
  );
  print(
    `${bold('4')}  ${number.format(vectors.size)} vectors of ${dimensions} numbers: each custom_id exactly once, each of unit length`,
  );
  print();
  for (const question of questions) {
    print(`   ${bold(question.text)}`);
    const found = findNearest(question.id, input, vectors, 3);
    for (const { sentence, similarity } of found) print(`     ${similarity.toFixed(2)}  ${sentence.text}`);
    // With fewer sentences the expected one may be missing.
    if (input.length >= sentencesWithAnswers && found[0]) assertExpectedAnswer(question, found[0]);
  }
  print();
  const rate = number.format(Math.round(vectors.size / (durationMs / 1_000)));
  print(
    `   ${(durationMs / 1_000).toFixed(2)} s from the request to the last result, ${rate} lines a second; ${pushes} updates received over Socket.IO.`,
  );
  print(
    dim(
      `   ${model} ran in a worker thread. The questions and their answers share only words like “the” and “at”.`,
    ),
  );
}

async function main(): Promise<void> {
  print(bold('Millrace quickstart'));
  print();
  const url = await startOrFind();
  const keyPath = join(config.MILLRACE_HOME, 'credentials.json');
  const apiKey = readKey(keyPath);
  await runDemo(url, apiKey);
  print();
  print(`   address   ${url}/v1   ${dim('(the baseURL of your openai client)')}`);
  print(`   API key   ${apiKey}   ${dim(`(from ${keyPath})`)}`);
  print(`   docs      README.md, docs/architecture.md`);
  print();
  if (args.exit) {
    await supervisor?.stop();
    process.exit(0);
  }
  hiddenLines = null;
  if (!supervisor) return;
  print(`   Millrace keeps running here. Ctrl-C stops it.`);
  print();
}

try {
  await main();
} catch (error) {
  if (!(error instanceof StoppedError)) {
    for (const line of hiddenLines ?? []) process.stderr.write(line);
    const isExpected = error instanceof StartupError;
    const text = isExpected ? error.message : ((error as Error).stack ?? String(error));
    await supervisor?.stop();
    process.stderr.write(`\n${text}\n`);
    process.exit(isExpected ? error.exitCode : 1);
  }
}
