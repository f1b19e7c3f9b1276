/**
 * Calls Hugging Face through its own client, `@huggingface/inference`. The client's retries are turned off, because
 * they are endless. Requests go through our own `fetch`: the client's errors carry no headers, and it cannot be
 * pointed at other hosts than huggingface.co's.
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
import type { ProviderCredential } from '../credential.ts';
import {
  buildUpstreamFailure,
  invalidOutput,
  isNetworkError,
  isParseError,
  unreachable,
  unsupportedRequest,
} from '../failures.ts';
import type { ModelAccess } from '../run.ts';
import { parseTarget, type InferenceEndpoints, type Target } from './target.ts';

export interface HuggingFaceOptions {
  /** The token of the default credential. Absent if only inference endpoints without authentication are used. */
  readonly token?: string;
  /** URLs of dedicated inference endpoints, by name. */
  readonly inferenceEndpoints: InferenceEndpoints;
  /** Replaces `https://huggingface.co`. */
  readonly hubUrl?: string;
  /** Replaces `https://router.huggingface.co`. */
  readonly routerUrl?: string;
  /** Maximum concurrent calls, in total and per model. */
  readonly concurrency: number;
  readonly getModelConcurrency?: (model: string) => number | undefined;
}

type Headers = Response['headers'];

/** Arguments for the client's methods: where the call goes, and the options of each call. */
export interface ClientArguments {
  readonly to: { readonly model?: string; readonly provider?: never; readonly endpointUrl?: string };
  readonly options: {
    readonly signal: AbortSignal;
    readonly fetch: typeof fetch;
    readonly retry_on_error: false;
  };
}

/** The client logs a line to the console for each call. */
const discard = () => undefined;
setLogger({ debug: discard, info: discard, warn: discard, error: discard, log: discard });

export const hubUrl = 'https://huggingface.co';
export const routerUrl = 'https://router.huggingface.co';

type RunClient<T> = (client: InferenceClient, args: ClientArguments) => Promise<T>;

export class Connection {
  constructor(private readonly options: HuggingFaceOptions) {}

  /** @throws InvalidInput, code `model_not_found`. */
  parseTarget(model: string): Target {
    return parseTarget(model, this.options.inferenceEndpoints);
  }

  /** @throws ProviderFailure, InvalidInput, or the signal's reason. */
  call<T>({ model, credential }: ModelAccess, signal: AbortSignal, run: RunClient<T>): Promise<T> {
    return this.callTarget(this.parseTarget(model), credential, signal, run);
  }

  /** @throws ProviderFailure, or the signal's reason. */
  async callTarget<T>(
    { model, provider, endpointUrl }: Target,
    credential: ProviderCredential,
    signal: AbortSignal,
    run: RunClient<T>,
  ): Promise<T> {
    const token = await credential.getToken();
    let errorHeaders: Headers | null = null;
    const fetchAndKeepHeaders: typeof fetch = async (url, init) => {
      const response = await this.fetch(url, { ...init, signal });
      if (!response.ok) errorHeaders = response.headers;
      return response;
    };
    const to = (
      endpointUrl ? { endpointUrl } : { model, provider: provider ?? 'auto' }
    ) as ClientArguments['to'];
    const options = { signal, fetch: fetchAndKeepHeaders, retry_on_error: false } as const;
    return callUpstream(
      signal,
      () => run(new InferenceClient(token), { to, options }),
      (error) => translateError(error, model, token, errorHeaders),
    );
  }

  /** For what the client has no method for: the Hub's API and the queues of inference providers. */
  async request<T>(
    url: string,
    { model, credential }: ModelAccess,
    signal: AbortSignal,
    init: RequestInit = {},
  ): Promise<T> {
    const token = await credential.getToken();
    return callUpstream(
      signal,
      async () => {
        const response = await this.fetch(url, {
          ...init,
          signal,
          headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        });
        if (response.ok) return (await response.json()) as T;
        const body = (await response.text()).slice(0, 1_000);
        const error = { status: response.status, message: parseMessage(body), headers: response.headers };
        throw buildFailure({ ...error, cause: undefined }, model, token);
      },
      (error) => translateError(error, model, token, null),
    );
  }

  /** Downloads a result from the URL that a provider returned. The token is not sent there. */
  async download(url: string, signal: AbortSignal): Promise<Response> {
    return callUpstream(
      signal,
      async () => {
        const response = await fetch(url, { signal });
        if (!response.ok) throw unreachable('The server that holds the result', undefined);
        return response;
      },
      (error) => translateError(error, '', undefined, null),
    );
  }

  private fetch(url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
    const text = url instanceof Request ? url.url : url.toString();
    const { hubUrl: ownHub = hubUrl, routerUrl: ownRouter = routerUrl } = this.options;
    if (text.startsWith(`${routerUrl}/`)) return fetch(ownRouter + text.slice(routerUrl.length), init);
    if (text.startsWith(`${hubUrl}/`)) return fetch(ownHub + text.slice(hubUrl.length), init);
    return fetch(text, init);
  }
}

function translateError(
  error: unknown,
  model: string,
  token: string | undefined,
  headers: Headers | null,
): unknown {
  if (error instanceof ProviderFailure) return error;
  if (error instanceof InferenceClientProviderApiError || error instanceof InferenceClientHubApiError) {
    const { status, body } = error.httpResponse;
    const message = parseMessage(body) || error.message;
    return buildFailure({ status, message, headers, cause: error }, model, token);
  }
  if (error instanceof InferenceClientInputError) return unsupportedRequest(error.message, 'model');
  if (error instanceof InferenceClientProviderOutputError)
    return invalidOutput('it does not have the format that the client expects', error);
  if (isNetworkError(error)) return unreachable('Hugging Face', error);
  if (isParseError(error)) return invalidOutput('it is not JSON', error);
  return error;
}

function buildFailure(
  error: Parameters<typeof buildUpstreamFailure>[0],
  model: string,
  token: string | undefined,
): ProviderFailure {
  return buildUpstreamFailure(error, {
    provider: 'Hugging Face',
    secret: token,
    advice: {
      token: 'Set HF_TOKEN to a token with permission to call Inference Providers.',
      credit: 'The account of HF_TOKEN has no credit left: see https://huggingface.co/settings/billing.',
      model: `See https://huggingface.co/${model}: request access there if the model is gated, and check which providers serve it.`,
    },
  });
}

/** @returns the message of an error body: text, or JSON with `error`, `message` or `detail` at any depth. */
function parseMessage(body: unknown): string {
  if (typeof body === 'string') {
    try {
      return parseMessage(JSON.parse(body));
    } catch {
      return body;
    }
  }
  if (typeof body !== 'object' || body === null) return '';
  const { error, message, detail } = body as Record<string, unknown>;
  for (const value of [error, message, detail]) {
    if (typeof value === 'string') return value;
    if (typeof value === 'object' && value !== null) return parseMessage(value);
  }
  return '';
}
