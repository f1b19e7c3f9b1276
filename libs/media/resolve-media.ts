/** Replaces each media source of a body with its bytes. The worker does this right before it calls the provider. */
import { parseMediaSource } from '@millrace/contracts';
import type { MediaField } from '#catalogue';
import { InvalidInput } from '#domain';
import { prepareMedia } from './inspect-media.ts';

export interface MediaSources {
  /** @throws NotFound; InvalidInput if the file is larger than `maxBytes`. */
  readFile(id: string, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** @throws InvalidInput if the address is not allowed; ProviderFailure if the URL cannot be fetched. */
  fetchUrl(
    url: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<{ bytes: Buffer; type: string | null }>;
}

/** @throws InvalidInput, and what `sources` throws. */
export async function resolveMedia(
  fields: readonly MediaField[],
  sources: MediaSources,
  signal: AbortSignal,
): Promise<void> {
  for (const { source, param, rule, replace } of fields) {
    const parsed = parseMediaSource(source);
    if (!parsed) throw new InvalidInput(`'${param}' is not media.`, { code: 'invalid_media', param });
    if (parsed.form === 'inline') {
      replace(await prepareMedia(Buffer.from(parsed.base64, 'base64'), parsed.type, rule, param));
    } else if (parsed.form === 'file') {
      replace(
        await prepareMedia(await sources.readFile(parsed.id, rule.maxBytes, signal), null, rule, param),
      );
    } else {
      const { bytes, type } = await sources.fetchUrl(parsed.url, rule.maxBytes, signal);
      replace(await prepareMedia(bytes, type, rule, param));
    }
  }
}
