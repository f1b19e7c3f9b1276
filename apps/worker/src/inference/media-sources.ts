/** Where an input's media come from: files of its workspace, and addresses that pass the guard. */
import type { FileStore } from '#database';
import { InvalidInput, ProviderFailure } from '#domain';
import type { MediaSources } from '#media';
import { OutboundFailure, type Outbound } from '#outbound';
import { readSegments, type ObjectStore } from '#storage';

export interface MediaSourceDeps {
  readonly files: Pick<FileStore, 'get' | 'listSegments'>;
  readonly objects: ObjectStore;
  readonly outbound: Outbound;
}

const fetchMs = 30_000;

export function createMediaSources(
  workspaceId: string,
  { files, objects, outbound }: MediaSourceDeps,
): MediaSources {
  return {
    async readFile(id, maxBytes, signal) {
      const { bytes } = await files.get(workspaceId, id);
      if (bytes > maxBytes) throw tooLarge();
      const segments = await files.listSegments(workspaceId, id);
      const parts: Buffer[] = [];
      for await (const part of readSegments(objects, segments, { signal })) parts.push(part as Buffer);
      return Buffer.concat(parts);
    },
    async fetchUrl(url, maxBytes, signal) {
      try {
        const answer = await outbound.send({
          ...{ url, method: 'GET', headers: { accept: '*/*' }, timeoutMs: fetchMs, maxBytes, signal },
        });
        if (answer.isTruncated) throw tooLarge();
        if (answer.status !== 200) throw unreachable(`answered ${answer.status}`);
        return { bytes: answer.body, type: answer.headers['content-type']?.split(';')[0]?.trim() ?? null };
      } catch (error) {
        if (!(error instanceof OutboundFailure)) throw error;
        signal.throwIfAborted();
        throw unreachable(error.message);
      }
    },
  };
}

const tooLarge = () =>
  new InvalidInput('The media at this address are too large.', { code: 'media_too_large' });

const unreachable = (why: string) =>
  new ProviderFailure(`The URL of an input could not be read: ${why}.`, {
    code: 'input_url_unreachable',
    status: 400,
    retryable: false,
  });
