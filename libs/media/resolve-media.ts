/** Sources to bytes, in the worker, right before a provider is called. */
import type { MediaSlot } from '#catalogue';
import { parseMediaSource } from '@millrace/contracts';
import { InvalidInput } from '#domain';
import { prepareMedia } from './inspect-media.ts';

export interface MediaSources {
  /** @throws NotFound; InvalidInput where it is larger than `maxBytes`. */
  readFile(id: string, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** @throws InvalidInput where the address is refused; ProviderFailure where nothing came of it. */
  fetchUrl(
    url: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<{ bytes: Buffer; type: string | null }>;
}

/** Puts what each source stands for in its place. @throws InvalidInput */
export async function resolveMedia(
  slots: readonly MediaSlot[],
  deps: MediaSources,
  signal: AbortSignal,
): Promise<void> {
  for (const { source, param, rule, put } of slots) {
    const parsed = parseMediaSource(source);
    if (!parsed) throw new InvalidInput(`'${param}' is no media.`, { code: 'invalid_media', param });
    if (parsed.form === 'inline') {
      put(await prepareMedia(Buffer.from(parsed.base64, 'base64'), parsed.type, rule, param));
    } else if (parsed.form === 'file') {
      put(await prepareMedia(await deps.readFile(parsed.id, rule.maxBytes, signal), null, rule, param));
    } else {
      const { bytes, type } = await deps.fetchUrl(parsed.url, rule.maxBytes, signal);
      put(await prepareMedia(bytes, type, rule, param));
    }
  }
}
