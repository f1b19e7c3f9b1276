/**
 * Downloads a model's files from a Hub into a folder. A file appears only when it is complete, so that a process that
 * dies leaves no partial model behind. URLs: huggingface.co/docs/hub/models-downloading (`/resolve/`).
 */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { hubUnavailable, modelGated, modelNotFound } from './failures.ts';
import type { LocalOptions } from './options.ts';

export interface HubModel {
  readonly model: string;
  readonly hub: LocalOptions['hub'];
  /** Where the files of this model are stored. */
  readonly folder: string;
}

/** A download is aborted after this time without data. */
const idleTimeoutMs = 60_000;

/**
 * @returns false if the model has no such file.
 * @throws ProviderFailure if the model does not exist or is gated, or the Hub is unavailable.
 */
export async function downloadFile({ model, hub, folder }: HubModel, path: string): Promise<boolean> {
  const target = join(folder, path);
  if (existsSync(target)) return true;
  const url = `${hub.url}/${model}/resolve/main/${path}`;
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), idleTimeoutMs);
  const partial = `${target}.${process.pid}.part`;
  try {
    const headers: Record<string, string> = hub.token ? { authorization: `Bearer ${hub.token}` } : {};
    const response = await fetch(url, { headers, signal: idle.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      assertFileMissing(response, model, hub.url);
      return false;
    }
    await mkdir(dirname(target), { recursive: true });
    const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    body.on('data', () => timer.refresh());
    await pipeline(body, createWriteStream(partial, { flush: true }));
    await rename(partial, target);
    return true;
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof Error && 'retryable' in error) throw error;
    throw hubUnavailable(hub.url, error);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The Hub answers 404 for a file that is missing and for a model that does not exist; a header tells them apart. It
 * answers 401 for a model that is private as for one that does not exist.
 * @throws ProviderFailure unless only the file is missing.
 */
function assertFileMissing({ status, headers }: Response, model: string, url: string): void {
  if (status === 404 && headers.get('x-error-code') !== 'RepoNotFound') return;
  if (status === 404) throw modelNotFound(model);
  if (status === 401 || status === 403) throw modelGated(model);
  throw hubUnavailable(url, new Error(`status ${status}`));
}
