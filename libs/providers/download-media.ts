/** Downloads a file that an answer names by URL. */
import type { Media } from '#catalogue';
import { invalidOutput } from './failures.ts';
import { readMedia, toMedia } from './response-media.ts';
import { fetchUpstream, upstreamLimits } from './upstream-fetch.ts';

/** A download of a URL that is checked first: addresses of the operator's network are refused. */
export type DownloadGuarded = (
  url: string,
  options: { readonly signal: AbortSignal; readonly maxBytes: number },
) => Promise<{ readonly bytes: Uint8Array; readonly type: string | undefined }>;

/**
 * Files on the provider's own server, which the operator configured, are fetched directly. All other URLs come from
 * outside, so they go through the guard. The credential is sent to neither.
 * @throws ProviderFailure; what `fetchUpstream` throws.
 */
export async function downloadMedia(
  url: string,
  defaultType: string,
  signal: AbortSignal,
  {
    ownUrls,
    guarded,
  }: { readonly ownUrls: readonly string[]; readonly guarded: DownloadGuarded | undefined },
): Promise<Media> {
  const target = parseUrl(url, ownUrls[0]);
  if (!target) throw invalidOutput('the URL of a file is not one', undefined, url);
  const isOwn = ownUrls.some((own) => new URL(own).origin === target.origin);
  if (isOwn) return assertMedia(await readMedia(await fetchUpstream(target, { signal }), defaultType));
  if (!guarded) throw invalidOutput('a file is on another server, and this process downloads none');
  const { bytes, type } = await guarded(target.href, { signal, maxBytes: upstreamLimits.maxFileBytes });
  return assertMedia(await toMedia(bytes, type ?? defaultType));
}

/** A page that says why there is no file is not the file. */
function assertMedia(media: Media): Media {
  const { bytes, type } = media;
  if (bytes.byteLength === 0) throw invalidOutput('a file is empty');
  if (!/^text\/|json|xml/.test(type) || type === 'image/svg+xml') return media;
  throw invalidOutput('a file is not an image, audio or video', undefined, Buffer.from(bytes).toString());
}

/** LocalAI and other servers write URLs without a host. */
function parseUrl(url: string, base: string | undefined): URL | null {
  try {
    const target = new URL(url, base);
    return /^https?:$/.test(target.protocol) ? target : null;
  } catch {
    return null;
  }
}
