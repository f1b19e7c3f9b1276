/** Reads the media that an input names: files of its workspace, and URLs that pass the outbound guard. */
import type { FileStore } from '#database';
import { InvalidInput, ProviderFailure } from '#domain';
import type { MediaSources } from '#media';
import { OutboundFailure, type Outbound } from '#outbound';
import { readSegments, type ObjectStorage } from '#storage';

export interface MediaSourceDeps {
  readonly files: Pick<FileStore, 'get' | 'listSegments'>;
  readonly objects: ObjectStorage;
  readonly outbound: Outbound;
}

const fetchTimeoutMs = 30_000;

export function createMediaSources(
  workspaceId: string,
  { files, objects, outbound }: MediaSourceDeps,
): MediaSources {
  return {
    async readFile(id, maxBytes, signal) {
      const { bytes } = await files.get(workspaceId, id);
      if (bytes > maxBytes) throw mediaTooLarge();
      const segments = await files.listSegments(workspaceId, id);
      const parts: Buffer[] = [];
      for await (const part of readSegments(objects, segments, { signal })) parts.push(part as Buffer);
      return Buffer.concat(parts);
    },
    async fetchUrl(url, maxBytes, signal) {
      try {
        const response = await outbound.send({
          url,
          method: 'GET',
          headers: { accept: '*/*' },
          timeoutMs: fetchTimeoutMs,
          maxBytes,
          signal,
        });
        if (response.isTruncated) throw mediaTooLarge();
        if (response.status !== 200) throw urlUnreachable(`it answered ${response.status}`);
        const type = response.headers['content-type']?.split(';')[0]?.trim() ?? null;
        return { bytes: response.body, type };
      } catch (error) {
        if (!(error instanceof OutboundFailure)) throw error;
        signal.throwIfAborted();
        throw urlUnreachable(error.message);
      }
    },
  };
}

const mediaTooLarge = () =>
  new InvalidInput('The media file of an input is too large.', { code: 'media_too_large' });

const urlUnreachable = (reason: string) =>
  new ProviderFailure(`The URL of an input could not be read: ${reason}.`, {
    code: 'input_url_unreachable',
    status: 400,
    retryable: false,
  });
