/**
 * Calls a server with OpenAI's API through the official client. The client's retries, time-out and logs are turned off:
 * our policy retries, and our signal ends a call.
 */
import OpenAI, { APIConnectionError, APIError, type APIPromise } from 'openai';
import { ProviderFailure } from '#domain';
import { callUpstream } from '../call-upstream.ts';
import type { ProviderCredential } from '../credential.ts';
import {
  buildUpstreamFailure,
  invalidOutput,
  isNetworkError,
  isParseError,
  unreachable,
} from '../failures.ts';
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
}

/** Longer than any time-out of ours, so that the client's own time-out never ends a call first. */
const clientTimeoutMs = 24 * 3_600_000;

/**
 * Reads the cost in US dollars from a response header, where gateways such as LiteLLM's proxy report it:
 * https://docs.litellm.ai/docs/proxy/response_headers. The headers of a stream are sent before the cost is known.
 */
export const readCostHeader = ({ headers }: Response): number | undefined =>
  parseCost({ cost: Number(headers.get('x-litellm-response-cost') || NaN) });

export class Connection {
  private readonly client: OpenAI;

  constructor(private readonly options: OpenAICompatibleOptions) {
    this.client = new OpenAI({
      baseURL: options.url,
      apiKey: 'none',
      maxRetries: 0,
      timeout: clientTimeoutMs,
      logLevel: 'off',
      organization: null,
      project: null,
    });
  }

  get name(): string {
    return this.options.name;
  }

  /** @throws ProviderFailure, or the signal's reason. */
  async call<T>(
    credential: ProviderCredential,
    signal: AbortSignal,
    run: (client: OpenAI) => Promise<T>,
  ): Promise<T> {
    const token = await credential.getToken();
    return callUpstream(
      signal,
      () => run(this.client.withOptions({ apiKey: token ?? 'none' })),
      (error) => this.translateError(error, token),
    );
  }

  /** A call whose response is one JSON object. If only a header has the cost, the cost is added to its `usage`. */
  callForJson<T extends object>(
    credential: ProviderCredential,
    signal: AbortSignal,
    run: (client: OpenAI) => APIPromise<T>,
  ): Promise<T & { readonly usage?: UpstreamUsage }> {
    return this.call(credential, signal, async (client) => {
      const { data, response } = await run(client).withResponse();
      const { usage } = data as { readonly usage?: UpstreamUsage | null };
      const cost = parseCost(usage ?? {}) ?? readCostHeader(response);
      return cost === undefined ? data : Object.assign(data, { usage: { ...usage, cost } });
    });
  }

  private translateError(error: unknown, token: string | undefined): unknown {
    const { name: provider, url } = this.options;
    if (error instanceof ProviderFailure) return error;
    if (error instanceof APIConnectionError || isNetworkError(error)) return unreachable(provider, error);
    if (isParseError(error)) return invalidOutput('it is not JSON', error);
    if (!(error instanceof APIError)) return error;
    const { status, headers, code, param } = error as APIError;
    if (status === undefined) return unreachable(provider, error);
    const reported = (error.error as { message?: unknown } | undefined)?.message;
    const message = typeof reported === 'string' ? reported : error.message;
    return buildUpstreamFailure(
      { status, headers: headers ?? null, code, param, message, cause: error },
      {
        provider,
        secret: token,
        advice: {
          token: `Set the key of '${provider}' in OPENAI_COMPATIBLE_KEYS.`,
          credit: 'Its account has no credit left.',
          model: `See which models the server has: ${url}/models.`,
        },
      },
    );
  }
}
