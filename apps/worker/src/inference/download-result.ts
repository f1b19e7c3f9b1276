/** Downloads files that a provider's answer names by URL, through the outbound guard. */
import { ProviderFailure } from '#domain';
import { OutboundFailure, RefusedUrl, type Outbound } from '#outbound';

/** Longer than any call may take: the call's own signal ends it. */
const timeoutMs = 24 * 3_600_000;

/** Hosts of files redirect to their storage. The guard checks each URL. */
const maxRedirects = 3;

interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly maxBytes: number;
}

/** @throws ProviderFailure, or the signal's reason. */
export const downloadResultWith =
  (outbound: Pick<Outbound, 'send'>) =>
  async (
    url: string,
    { signal, maxBytes }: DownloadOptions,
  ): Promise<{ bytes: Uint8Array; type: string | undefined }> => {
    let target = url;
    for (let redirects = 0; ; redirects++) {
      const response = await send(outbound, target, { signal, maxBytes });
      const { status, headers, body, isTruncated } = response;
      const { location } = headers;
      if (status >= 300 && status < 400 && location !== undefined && redirects < maxRedirects) {
        target = new URL(location, target).href;
        continue;
      }
      if (status !== 200)
        throw buildFailure(`its server answered ${status}`, status >= 500 || status === 429);
      if (isTruncated) throw buildFailure(`it is larger than ${maxBytes / 2 ** 20} MiB`, false);
      return { bytes: body, type: headers['content-type'] };
    }
  };

async function send(outbound: Pick<Outbound, 'send'>, url: string, options: DownloadOptions) {
  try {
    return await outbound.send({ url, method: 'GET', headers: { accept: '*/*' }, timeoutMs, ...options });
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof RefusedUrl)
      throw buildFailure('its URL is not an https URL of a public server', false);
    if (error instanceof OutboundFailure) throw buildFailure(error.message, true);
    throw error;
  }
}

const buildFailure = (reason: string, retryable: boolean) =>
  new ProviderFailure(`A file of the answer could not be downloaded: ${reason}.`, {
    code: retryable ? 'provider_unreachable' : 'invalid_output',
    status: 502,
    retryable,
  });
