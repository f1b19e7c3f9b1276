/**
 * Fetches a model's files from a Hub into a folder, each whole or not at all: a process that dies meanwhile leaves
 * nothing behind that would be taken for a model. Addresses: huggingface.co/docs/hub/models-downloading (`/resolve/`).
 */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { modelGated, hubUnavailable, modelNotFound } from './failures.ts';
import type { LocalOptions } from './options.ts';

export interface HubFolder {
  readonly model: string;
  readonly hub: LocalOptions['hub'];
  /** Where the files of this model are kept. */
  readonly folder: string;
}

/** A connection that says nothing for so long is given up. */
const silenceMs = 60_000;

/**
 * @returns false when the model has no such file.
 * @throws ProviderFailure when the model is not there or gated, or the Hub does not answer.
 */
export async function downloadFile({ model, hub, folder }: HubFolder, path: string): Promise<boolean> {
  const target = join(folder, path);
  if (existsSync(target)) return true;
  const url = `${hub.url}/${model}/resolve/main/${path}`;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  const draft = `${target}.${process.pid}.part`;
  try {
    const headers: Record<string, string> = hub.token ? { authorization: `Bearer ${hub.token}` } : {};
    const response = await fetch(url, { headers, signal: silence.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      return judge(response, model, hub.url);
    }
    await mkdir(dirname(target), { recursive: true });
    const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    body.on('data', () => (timer = renewed(timer, silence)));
    await pipeline(body, createWriteStream(draft, { flush: true }));
    await rename(draft, target);
    return true;
  } catch (error) {
    await rm(draft, { force: true });
    if (error instanceof Error && 'retryable' in error) throw error;
    throw hubUnavailable(hub.url, error);
  } finally {
    clearTimeout(timer);
  }
}

function renewed(timer: NodeJS.Timeout, silence: AbortController): NodeJS.Timeout {
  clearTimeout(timer);
  return setTimeout(() => silence.abort(), silenceMs);
}

/** The Hub answers 401 for what is not there as for what is private; its header says which file alone is missing. */
function judge({ status, headers }: Response, model: string, url: string): false {
  if (status === 404 && headers.get('x-error-code') !== 'RepoNotFound') return false;
  if (status === 404) throw modelNotFound(model);
  if (status === 401 || status === 403) throw modelGated(model);
  throw hubUnavailable(url, new Error(`status ${status}`));
}
