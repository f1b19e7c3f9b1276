/**
 * Hugging Face through its own client: without its retries, which are endless, and with a fetch of ours, since its
 * errors carry no headers and it knows no other host than huggingface.co's.
 */
import {
  InferenceClient,
  InferenceClientHubApiError,
  InferenceClientInputError,
  InferenceClientProviderApiError,
  InferenceClientProviderOutputError,
  setLogger,
} from '@huggingface/inference';
import { ProviderFailure } from '#domain';
import { callUpstream } from '../call-upstream.ts';
import {
  buildUpstreamFailure,
  isNetworkError,
  isParseError,
  invalidOutput,
  unreachable,
  unsupportedRequest,
} from '../failures.ts';
import type { Target } from './target.ts';

export interface HuggingFaceOptions {
  /** Unset where only endpoints that ask for none are used. */
  readonly token?: string;
  /** Dedicated endpoints by name: URLs. */
  readonly endpoints: ReadonlyMap<string, string>;
  /** What stands in for `https://huggingface.co`. */
  readonly hub?: string;
  /** What stands in for `https://router.huggingface.co`. */
  readonly router?: string;
  /** Calls under way at once, in all and to one model. */
  readonly concurrency: number;
  readonly concurrencyOf?: (model: string) => number | undefined;
}

type Headers = Response['headers'];

/** Arguments that say where a call goes, and the options that each call is made with. */
export interface ClientArguments {
  readonly to: { readonly model?: string; readonly provider?: never; readonly endpointUrl?: string };
  readonly options: {
    readonly signal: AbortSignal;
    readonly fetch: typeof fetch;
    readonly retry_on_error: false;
  };
}

/** It writes a line to the console at each call. */
const silent = () => undefined;
setLogger({ debug: silent, info: silent, warn: silent, error: silent, log: silent });

const hub = 'https://huggingface.co';
const router = 'https://router.huggingface.co';

export class Connection {
  private readonly client: InferenceClient;

  constructor(private readonly options: HuggingFaceOptions) {
    this.client = new InferenceClient(options.token);
  }

  /** @throws ProviderFailure, or the reason of the signal. */
  async call<T>(
    { model, provider, endpointUrl }: Target,
    signal: AbortSignal,
    run: (client: InferenceClient, going: ClientArguments) => Promise<T>,
  ): Promise<T> {
    let headers: Headers | null = null;
    const keepHeaders: typeof fetch = async (url, init) => {
      const response = await this.fetch(url, { ...init, signal });
      if (!response.ok) headers = response.headers;
      return response;
    };
    const to = (
      endpointUrl ? { endpointUrl } : { model, provider: provider ?? 'auto' }
    ) as ClientArguments['to'];
    const options = { signal, fetch: keepHeaders, retry_on_error: false } as const;
    return callUpstream(
      signal,
      () => run(this.client, { to, options }),
      (error) => this.translate(error, model, headers),
    );
  }

  /** For what the client has no method for: the Hub's API and the providers' queues, with the token. */
  async request<T>(path: string, model: string, signal: AbortSignal, init: RequestInit = {}): Promise<T> {
    const { token } = this.options;
    return callUpstream(
      signal,
      async () => {
        const response = await this.fetch(path, {
          ...init,
          signal,
          headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        });
        if (response.ok) return (await response.json()) as T;
        const message = (await response.text()).slice(0, 1_000);
        throw this.refused(response.status, messageOf(message), response.headers, model, undefined);
      },
      (error) => this.translate(error, model, null),
    );
  }

  /** A result that a provider named by URL; the token does not go there. */
  async download(url: string, signal: AbortSignal): Promise<Response> {
    return callUpstream(
      signal,
      async () => {
        const response = await fetch(url, { signal });
        if (!response.ok) throw unreachable('The store of the result', undefined);
        return response;
      },
      (error) => this.translate(error, '', null),
    );
  }

  private fetch(url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
    const text = url instanceof Request ? url.url : url.toString();
    const { hub: ownHub = hub, router: ownRouter = router } = this.options;
    if (text.startsWith(`${router}/`)) return fetch(ownRouter + text.slice(router.length), init);
    if (text.startsWith(`${hub}/`)) return fetch(ownHub + text.slice(hub.length), init);
    return fetch(text, init);
  }

  private translate(error: unknown, model: string, headers: Headers | null): unknown {
    if (error instanceof ProviderFailure) return error;
    if (error instanceof InferenceClientProviderApiError || error instanceof InferenceClientHubApiError) {
      const { status, body } = error.httpResponse;
      return this.refused(status, messageOf(body) || error.message, headers, model, error);
    }
    if (error instanceof InferenceClientInputError) return unsupportedRequest(error.message, 'model');
    if (error instanceof InferenceClientProviderOutputError)
      return invalidOutput('the provider sent another shape', error);
    if (isNetworkError(error)) return unreachable('Hugging Face', error);
    if (isParseError(error)) return invalidOutput('it is not JSON', error);
    return error;
  }

  private refused(status: number, message: string, headers: Headers | null, model: string, cause: unknown) {
    return buildUpstreamFailure(
      { status, message, headers, cause },
      {
        provider: 'Hugging Face',
        secret: this.options.token,
        advice: {
          token: 'Set HF_TOKEN to a token with leave to make calls to Inference Providers.',
          credit: 'The account of HF_TOKEN has no credit left: see https://huggingface.co/settings/billing.',
          model: `See https://huggingface.co/${model}: ask for access there if it is gated, and look who serves it.`,
        },
      },
    );
  }
}

/** What an error's body says: text, or JSON with `error` or `message` somewhere. */
function messageOf(body: unknown): string {
  if (typeof body === 'string') {
    try {
      return messageOf(JSON.parse(body));
    } catch {
      return body;
    }
  }
  if (typeof body !== 'object' || body === null) return '';
  const { error, message, detail } = body as Record<string, unknown>;
  for (const said of [error, message, detail]) {
    if (typeof said === 'string') return said;
    if (typeof said === 'object' && said !== null) return messageOf(said);
  }
  return '';
}
