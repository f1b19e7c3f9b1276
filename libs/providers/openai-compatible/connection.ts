/**
 * Calls a server with OpenAI's API through the official client. The client's retries, time-out and logs are turned off:
 * our policy retries, and our signal ends a call.
 */
import OpenAI, { type APIPromise } from 'openai';
import type { Media } from '#catalogue';
import { callUpstream } from '../call-upstream.ts';
import type { ProviderCredential } from '../credential.ts';
import { downloadMedia, type DownloadGuarded } from '../download-media.ts';
import { translateUpstreamError, unreachable } from '../failures.ts';
import { readJson } from '../read-stream.ts';
import type { ModelAccess } from '../run.ts';
import { fetchUpstream } from '../upstream-fetch.ts';
import { parseCost, type UpstreamUsage } from '../usage.ts';

export interface OpenAICompatibleOptions {
  /** The part before the slash of a model's name. */
  readonly name: string;
  /** Including `/v1`. */
  readonly url: string;
  /** The token of the default credential. Absent if the server needs none. */
  readonly key?: string;
  /** Maximum concurrent calls, in total and per model. */
  readonly concurrency: number;
  readonly getModelConcurrency?: (model: string) => number | undefined;
  /** Downloads files that are on other hosts. Absent: only those on the server's own. */
  readonly download?: DownloadGuarded | undefined;
}

/** The time-out is longer than any of ours, so that the client's own never ends a call first. */
export const openAIClientOptions = {
  fetch: fetchUpstream,
  maxRetries: 0,
  timeout: 24 * 3_600_000,
  logLevel: 'off',
  organization: null,
  project: null,
} as const;

/**
 * Reads the cost in US dollars from a response header, where gateways such as LiteLLM's proxy report it:
 * https://docs.litellm.ai/docs/proxy/response_headers. The headers of a stream are sent before the cost is known.
 */
export const readCostHeader = ({ headers }: Response): number | undefined =>
  parseCost({ cost: Number(headers.get('x-litellm-response-cost') || NaN) });

export class Connection {
  private readonly client: OpenAI;

  constructor(private readonly options: OpenAICompatibleOptions) {
    this.client = new OpenAI({ ...openAIClientOptions, baseURL: options.url, apiKey: 'none' });
  }

  get name(): string {
    return this.options.name;
  }

  /** Downloads a file that an answer names. The credential is not sent there. @throws like `call` */
  download(url: string, defaultType: string, signal: AbortSignal): Promise<Media> {
    const { url: ownUrl, download: guarded } = this.options;
    return callUpstream(
      signal,
      () => downloadMedia(url, defaultType, signal, { ownUrls: [ownUrl], guarded }),
      (error) => this.translateError(error, undefined, undefined),
    );
  }

  /** @throws ProviderFailure, or the signal's reason. */
  async call<T>(
    access: { readonly credential: ProviderCredential; readonly model?: string },
    signal: AbortSignal,
    run: (client: OpenAI) => Promise<T>,
  ): Promise<T> {
    const token = await access.credential.getToken();
    return callUpstream(
      signal,
      () => run(this.client.withOptions({ apiKey: token ?? 'none' })),
      (error) => this.translateError(error, token, access.model),
    );
  }

  /**
   * A call whose response is one JSON object, read by us: the client's types say what servers should answer. If only a
   * header has the cost, the cost is added to `usage`.
   */
  callForJson(
    access: ModelAccess,
    signal: AbortSignal,
    run: (client: OpenAI) => APIPromise<unknown>,
  ): Promise<Answer> {
    return this.call(access, signal, async (client) => {
      const response = await run(client).asResponse();
      const body = await readJson(response);
      const fields = (typeof body === 'object' && body !== null ? body : {}) as Answer;
      const { usage } = fields;
      const cost = parseCost(usage ?? {}) ?? readCostHeader(response);
      const withCost = cost === undefined ? {} : { usage: { ...usage, cost } };
      return { ...fields, ...withCost, ...(Array.isArray(body) && { list: body }) };
    });
  }

  private translateError(error: unknown, token: string | undefined, model: string | undefined): unknown {
    const { name: provider, url } = this.options;
    const translated = translateUpstreamError(error, {
      provider,
      secret: token,
      urls: [url],
      advice: {
        token: `Set the key of '${provider}' in OPENAI_COMPATIBLE_KEYS.`,
        credit: 'Its account has no credit left.',
        model: `'${provider}' does not serve '${model ?? ''}' for this request. GET /v1/models lists the models that it names.`,
      },
    });
    // The client throws its own errors for a connection that failed, and for a stream that broke.
    return translated instanceof OpenAI.APIError ? unreachable(provider, error) : translated;
  }
}

/** A response body. What it holds is checked where it is read. */
export interface Answer {
  readonly [field: string]: unknown;
  readonly usage?: UpstreamUsage | null;
  /** The body, if it is a list. */
  readonly list?: readonly unknown[];
}
