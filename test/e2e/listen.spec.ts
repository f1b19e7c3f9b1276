/** `millrace listen` forwards the signed events of a workspace to a local server. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { startPlatform, submitBatch, waitUntil, type Platform } from '../support/platform.ts';
import {
  startWebhookReceiver,
  respondWithStatus,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts';

const program = join(import.meta.dirname, '../../dist/apps/cli/src/main.js');
const secret = `whsec_${Buffer.alloc(24, 'a').toString('base64')}`;

let platform: Platform;
let receiver: WebhookReceiver;
let listener: ChildProcess;
let output = '';

beforeAll(async () => {
  [platform, receiver] = await Promise.all([startPlatform(), startWebhookReceiver()]);
});
afterAll(async () => {
  if (listener?.exitCode === null) listener.kill('SIGKILL');
  await platform?.stop();
  await receiver?.close();
});

function millrace(...args: string[]): ChildProcess {
  output = '';
  const env = { ...process.env, MILLRACE_API_KEY: platform.apiKey };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => (output += text.toString()));
  return child;
}

const submit = (name: string) =>
  submitBatch(
    platform,
    JSON.stringify({
      custom_id: name,
      method: 'POST',
      url: '/v1/embeddings',
      body: { model: 'sandbox/embeddings', input: name },
    }),
  );

test('forwards earlier and new events, and prints the status of each response', async () => {
  const before = await submit('before');
  await waitUntil(async () => (await platform.client.batches.retrieve(before)).status === 'completed', {
    what: 'a batch',
  });
  listener = millrace(
    'listen',
    '--forward-to',
    receiver.url,
    '--events',
    'batch.completed',
    '--after',
    '0',
    '--url',
    platform.url,
    '--secret',
    secret,
  );
  await waitUntil(() => receiver.requests.length === 1, { what: 'the earlier event' });
  receiver.respondWith(respondWithStatus(500));
  const now = await submit('now');
  await waitUntil(() => receiver.requests.length === 2, { what: 'the new event' });
  expect(
    receiver.requests.map(({ body, headers }) =>
      new Webhook(secret).verify(body, headers as Record<string, string>),
    ),
  ).toMatchObject([
    { type: 'batch.completed', data: { id: before } },
    { type: 'batch.completed', data: { id: now } },
  ]);
  await waitUntil(() => output.includes(now), { what: 'its line of output' });
  listener.kill('SIGTERM');
  expect(await once(listener, 'exit')).toEqual([0, null]);
  expect(output).toMatch(new RegExp(`batch.completed +${before} +200 `));
  expect(output).toMatch(new RegExp(`batch.completed +${now} +500 `));
  expect(output).toContain('1 succeeded, 1 failed.');
});

test.each([
  [['listen'], '--forward-to'],
  [['listen', '--forward-to', 'nowhere'], '--forward-to'],
  [['listen', '--forwards'], 'Unknown option'],
  [['hear'], 'Usage'],
  [['listen', '--forward-to', 'http://127.0.0.1:9/', '--key', 'mr_wrong'], 'refuses'],
])('%j exits with a message that says what to do', async (args, message) => {
  listener = millrace(...args, ...(args.includes('--key') ? ['--url', platform.url] : []));
  expect(await once(listener, 'exit')).toEqual([2, null]);
  expect(output).toContain(message);
});
