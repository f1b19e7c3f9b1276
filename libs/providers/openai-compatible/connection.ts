/** A server that speaks OpenAI's API, through the stock client: no retries of its own, no time-out but ours, no logs. */
import OpenAI, { APIConnectionError, APIError, type APIPromise } from 'openai';
import { ProviderFailure } from '#domain';
import { callUpstream } from '../call-upstream.ts';
import {
  buildUpstreamFailure,
  isNetworkError,
  isParseError,
  invalidOutput,
  unreachable,
} from '../failures.ts';
import { parseCost } from '../collect-stream.ts';
import type { UpstreamUsage } from '../stream-collectors.ts';

export interface OpenAICompatibleOptions {
  /** What stands before the slash in a model's name. */
  readonly name: string;
  /** Up to and with `/v1`. */
  readonly url: string;
  /** Unset for a server that asks for none. */
  readonly key?: string;
  /** Calls under way at once, in all and to one model. */
  readonly concurrency: number;
  readonly concurrencyOf?: (model: string) => number | undefined;
}

/** The client's own limit stands in the way of none of ours. */
const never = 24 * 3_600_000;

/**
 * What a call has cost in US dollars, where a gateway says it beside the body, as LiteLLM's proxy does:
 * https://docs.litellm.ai/docs/proxy/response_headers. A stream's headers come before anything is made, and name none.
 */
export const readCostHeader = ({ headers }: Response): number | undefined =>
  parseCost({ cost: Number(headers.get('x-litellm-response-cost') || NaN) });

export class Connection {
  private readonly client: OpenAI;

  constructor(private readonly options: OpenAICompatibleOptions) {
    this.client = new OpenAI({
      baseURL: options.url,
      apiKey: options.key ?? 'none',
      maxRetries: 0,
      timeout: never,
      logLevel: 'off',
      organization: null,
      project: null,
    });
  }

  get name(): string {
    return this.options.name;
  }

  /** @throws ProviderFailure, or the reason of the signal. */
  call<T>(signal: AbortSignal, run: (client: OpenAI) => Promise<T>): Promise<T> {
    return callUpstream(
      signal,
      () => run(this.client),
      (error) => this.translate(error),
    );
  }

  /** A call with a whole answer: where its header alone says what it has cost, its `usage` says so too. */
  callForJson<T extends object>(
    signal: AbortSignal,
    run: (client: OpenAI) => APIPromise<T>,
  ): Promise<T & { readonly usage?: UpstreamUsage }> {
    return this.call(signal, async (client) => {
      const { data, response } = await run(client).withResponse();
      const { usage } = data as { readonly usage?: UpstreamUsage | null };
      const cost = parseCost(usage ?? {}) ?? readCostHeader(response);
      return cost === undefined ? data : Object.assign(data, { usage: { ...usage, cost } });
    });
  }

  private translate(error: unknown): unknown {
    const { name: provider, key: secret } = this.options;
    if (error instanceof ProviderFailure) return error;
    if (error instanceof APIConnectionError || isNetworkError(error)) return unreachable(provider, error);
    if (isParseError(error)) return invalidOutput('it is not JSON', error);
    if (!(error instanceof APIError)) return error;
    const { status, headers, code, param, message } = error as APIError;
    if (status === undefined) return unreachable(provider, error);
    const said = (error.error as { message?: unknown } | undefined)?.message;
    const words = typeof said === 'string' ? said : message;
    return buildUpstreamFailure(
      { status, headers: headers ?? null, code, param, message: words, cause: error },
      {
        provider,
        secret,
        advice: {
          token: `Set the key of '${provider}' in OPENAI_COMPATIBLE_KEYS.`,
          credit: 'Its account has no credit left.',
          model: `See which models it serves: ${this.options.url}/models.`,
        },
      },
    );
  }
}
