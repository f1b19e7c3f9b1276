/** Uploads a file slowly over a raw HTTP request, so that a test can kill the server at a chosen moment. */
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Platform } from '../support/platform.ts';
import type { BatchInput } from './batch-input.ts';

const boundary = 'millrace-chaos-upload';

export interface UploadResult {
  /** The file's id; null if the upload was not acknowledged. */
  readonly fileId: string | null;
  /** What the client received if it was not acknowledged: a status, or the connection error. */
  readonly error: string | null;
}

/**
 * Sends an input in 20 parts, 10 ms apart. @param onSent called after each part with the share that was sent so far; 1
 * after the last part.
 */
export function uploadSlowly(
  { url, apiKey }: Pick<Platform, 'url' | 'apiKey'>,
  input: BatchInput,
  onSent: (share: number) => void,
): Promise<UploadResult> {
  const head =
    `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n` +
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="cut.jsonl"\r\n\r\n`;
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
    };
    const sending = request(`${url}/v1/files`, { method: 'POST', headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('error', (error) => resolve({ fileId: null, error: error.message }));
      answer.on('end', () => {
        const fileId = answer.statusCode === 200 ? (JSON.parse(text) as { id: string }).id : null;
        resolve({ fileId, error: fileId ? null : `status ${answer.statusCode}` });
      });
    });
    sending.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ fileId: null, error: error.code ?? error.message }),
    );
    sending.write(head);
    void send(sending, Buffer.from([...input.chunks()].join('')), onSent);
  });
}

const parts = 20;
const pauseMs = 10;

async function send(
  sending: ReturnType<typeof request>,
  content: Buffer,
  onSent: (share: number) => void,
): Promise<void> {
  const size = Math.ceil(content.length / parts);
  for (let part = 0; part < parts; part++) {
    if (sending.destroyed) return;
    sending.write(content.subarray(part * size, (part + 1) * size));
    if (part < parts - 1) onSent((part + 1) / parts);
    await sleep(pauseMs);
  }
  sending.end(`\r\n--${boundary}--\r\n`);
  onSent(1);
}
