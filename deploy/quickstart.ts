/**
 * `npm run quickstart [-- --exit] [--lines N]`: from nothing to a finished batch before your eyes, through the
 * stock `openai` client. Starts the platform unless it runs already, and leaves it running unless `--exit`.
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
/** The sentences are made in one order; the last that a question is about is among so many. */
const sentencesWithAnswers = 5_000;
const number = new Intl.NumberFormat('en-US');
const config = loadSettings();
const bold = (text: string): string => (hasColor() ? `\x1b[1m${text}\x1b[0m` : text);
const dim = (text: string): string => (hasColor() ? `\x1b[2m${text}\x1b[0m` : text);
const print = (text = ''): void => void process.stdout.write(`${text}\n`);

/** While the demonstration runs the platform's own lines wait here, to be shown if it fails. */
let held: string[] | null = [];
const output = createOutput({
  format: config.LOG_FORMAT,
  level: config.LOG_LEVEL,
  color: hasColor(),
  write(text) {
    if (!held) process.stdout.write(text);
    else if (held.push(text) > 200) held.shift();
  },
});

let supervisor = null as Supervisor | null;

/** @returns where the API answers. */
async function startOrFind(): Promise<string> {
  const running = await findLockHolder(config.MILLRACE_HOME);
  if (running) {
    print(`${bold('1')}  Millrace runs already: ${running.url}`);
    return running.url;
  }
  print(`${bold('1')}  Starting Millrace …`);
  const began = performance.now();
  supervisor = createSupervisor({ config, env: process.env, output, programs: builtPrograms });
  stopOnSignals(supervisor, output);
  await supervisor.start();
  print(`   up in ${((performance.now() - began) / 1_000).toFixed(1)} s: ${supervisor.url}`);
  return supervisor.url;
}

function readKey(path: string): string {
  if (!existsSync(path))
    throw new StartupError(
      `There is no ${path}: set MILLRACE_HOME to the data folder of the Millrace that runs.`,
    );
  return (JSON.parse(readFileSync(path, 'utf8')) as { apiKey: string }).apiKey;
}

async function runDemo(url: string, apiKey: string): Promise<void> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey });
  const input = buildSentences(Math.min(Math.max(1, Number(args.lines) || 5_000), 5_120));
  const asked = [...input, ...questions];
  const file = Buffer.from(buildBatchFile(asked, model));
  print(
    `${bold('2')}  Uploading ${number.format(input.length)} sentences and ${questions.length} questions as JSONL (${number.format(Math.ceil(file.length / 1_000))} kB)`,
  );
  const uploaded = await client.files.create({
    file: await toFile(file, 'sentences.jsonl'),
    purpose: 'batch',
  });

  const began = performance.now();
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
  const tookMs = performance.now() - began;
  if (batch.status !== 'completed' || !batch.output_file_id) {
    const why = batch.errors?.data?.[0]?.message ?? `see /v1/batches/${batch.id}`;
    throw new Error(`The batch ended as ${batch.status}: ${why}`);
  }

  const text = await (await client.files.content(batch.output_file_id)).text();
  const { vectors, dimensions } = checkOutput(
    text,
    asked.map(({ id }) => id),
  );
  print(
    `${bold('4')}  ${number.format(vectors.size)} vectors of ${dimensions} numbers: each custom_id exactly once, each of unit length`,
  );
  print();
  for (const question of questions) {
    print(`   ${bold(question.text)}`);
    const found = findNearest(question.id, input, vectors, 3);
    for (const { sentence, similarity } of found) print(`     ${similarity.toFixed(2)}  ${sentence.text}`);
    // Of few sentences the one that is meant may not be among them.
    if (input.length >= sentencesWithAnswers && found[0]) assertExpectedAnswer(question, found[0]);
  }
  print();
  const rate = number.format(Math.round(vectors.size / (tookMs / 1_000)));
  print(
    `   ${(tookMs / 1_000).toFixed(2)} s from the request to the last line, ${rate} lines a second; ${pushes} states pushed over Socket.IO.`,
  );
  print(
    dim(
      `   ${model} ran in a thread of the worker; the questions share none but small words with their answers.`,
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
  print(`   address   ${url}/v1   ${dim('(the baseURL for your openai client)')}`);
  print(`   API key   ${apiKey}   ${dim(`(from ${keyPath})`)}`);
  print(`   docs      README.md, docs/architecture.md`);
  print();
  if (args.exit) {
    await supervisor?.stop();
    process.exit(0);
  }
  held = null;
  if (!supervisor) return;
  print(`   Millrace goes on running here; Ctrl-C stops it.`);
  print();
}

try {
  await main();
} catch (error) {
  if (!(error instanceof StoppedError)) {
    for (const line of held ?? []) process.stderr.write(line);
    const text = error instanceof StartupError ? error.message : ((error as Error).stack ?? String(error));
    await supervisor?.stop();
    process.stderr.write(`\n${text}\n`);
    process.exit(1);
  }
}
