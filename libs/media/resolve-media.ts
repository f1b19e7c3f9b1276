/** Sources to bytes, in the worker, right before a provider is called. */
import type { MediaSlot } from '#catalogue';
import { parseMediaSource } from '#contracts';
import { InvalidInput } from '#domain';
import { toMedia } from './judge-bytes.ts';

export interface MediaSources {
  /** @throws NotFound; InvalidInput where it is larger than `maxBytes`. */
  file(id: string, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** @throws InvalidInput where the address is refused; ProviderFailure where nothing came of it. */
  fetch(url: string, maxBytes: number, signal: AbortSignal): Promise<{ bytes: Buffer; type: string | null }>;
}

/** Puts what each source stands for in its place. @throws InvalidInput */
export async function resolveMedia(
  slots: readonly MediaSlot[],
  on: MediaSources,
  signal: AbortSignal,
): Promise<void> {
  for (const { source, param, rule, put } of slots) {
    const parsed = parseMediaSource(source);
    if (!parsed) throw new InvalidInput(`'${param}' is no media.`, { code: 'invalid_media', param });
    if (parsed.form === 'inline') {
      put(await toMedia(Buffer.from(parsed.base64, 'base64'), parsed.type, rule, param));
    } else if (parsed.form === 'file') {
      put(await toMedia(await on.file(parsed.id, rule.maxBytes, signal), null, rule, param));
    } else {
      const { bytes, type } = await on.fetch(parsed.url, rule.maxBytes, signal);
      put(await toMedia(bytes, type, rule, param));
    }
  }
}
