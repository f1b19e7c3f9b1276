/**
 * Calls Hugging Face through its own client, `@huggingface/inference`. The client's retries are turned off, because
 * they are endless. Requests go through our own `fetch`: the client's errors carry no headers, and it cannot be
 * pointed at other hosts than huggingface.co's.
 */
import {
  InferenceClient,
  InferenceClientInputError,
  InferenceClientProviderOutputError,
  setLogger,
} from '@huggingface/inference';
import type { Media } from '#catalogue';
import { callUpstream } from '../call-upstream.ts';
import type { ProviderCredential } from '../credential.ts';
import { downloadMedia, type DownloadGuarded } from '../download-media.ts';
import { assertNoError, invalidOutput, translateUpstreamError, unsupportedRequest } from '../failures.ts';
import { parseJson } from '../parse-json.ts';
import { readJson } from '../read-stream.ts';
import type { ModelAccess } from '../run.ts';
import { fetchUpstream } from '../upstream-fetch.ts';
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
  /** Downloads results that are on other hosts. Absent: only those on the router's host. */
  readonly download?: DownloadGuarded | undefined;
}

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

  /** Set only where the operator replaces Hugging Face's hosts. */
  private get ownUrls(): readonly (string | undefined)[] {
    const { hubUrl: ownHub, routerUrl: ownRouter } = this.options;
    return [ownHub === hubUrl ? undefined : ownHub, ownRouter === routerUrl ? undefined : ownRouter];
  }

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
    const to = (
      endpointUrl ? { endpointUrl } : { model, provider: provider ?? 'auto' }
    ) as ClientArguments['to'];
    const fetchForClient: typeof fetch = async (url, init) =>
      toClientResponse(await this.fetch(url, { ...init, signal }));
    const options = { signal, fetch: fetchForClient, retry_on_error: false } as const;
    return callUpstream(
      signal,
      () => run(new InferenceClient(token), { to, options }),
      (error) => translateError(error, model, token, [endpointUrl, ...this.ownUrls]),
    );
  }

  /** For what the client has no method for: chat, the Hub's API and the queues of inference providers. */
  async request<T>(
    url: string,
    access: ModelAccess,
    signal: AbortSignal,
    init: RequestInit = {},
  ): Promise<T> {
    return this.open(url, access, signal, init, async (response) => (await readJson(response)) as T);
  }

  /** @param read reads the response; its errors are translated too. */
  async open<T>(
    url: string,
    { model, credential }: ModelAccess,
    signal: AbortSignal,
    init: RequestInit,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const token = await credential.getToken();
    const headers = {
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    };
    return callUpstream(
      signal,
      async () => read(await this.fetch(url, { ...init, signal, headers })),
      (error) => translateError(error, model, token, this.ownUrls),
    );
  }

  /** Downloads a result from the URL that a provider returned. The token is not sent there. */
  download(url: string, signal: AbortSignal): Promise<Media> {
    const { hubUrl: ownHub = hubUrl, routerUrl: ownRouter = routerUrl, download: guarded } = this.options;
    return callUpstream(
      signal,
      () => downloadMedia(url, 'application/octet-stream', signal, { ownUrls: [ownRouter, ownHub], guarded }),
      (error) => translateError(error, '', undefined, this.ownUrls),
    );
  }

  private fetch(url: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
    const text = url instanceof Request ? url.url : url.toString();
    const { hubUrl: ownHub = hubUrl, routerUrl: ownRouter = routerUrl } = this.options;
    if (text.startsWith(`${routerUrl}/`))
      return fetchUpstream(ownRouter + text.slice(routerUrl.length), init);
    if (text.startsWith(`${hubUrl}/`)) return fetchUpstream(ownHub + text.slice(hubUrl.length), init);
    return fetchUpstream(text, init);
  }
}

/**
 * The client takes every body without the type `application/json` for a file. Servers send JSON under other types, or
 * without one, so a body that is JSON is given to the client as JSON. @throws UpstreamRefusal if it reports an error.
 */
async function toClientResponse(response: Response): Promise<Response> {
  const type = response.headers.get('content-type') ?? '';
  if (/^(image|audio|video)\//i.test(type)) return response;
  const bytes = Buffer.from(await response.arrayBuffer());
  const isJson = /json/i.test(type) || /^\s*[{[]/.test(bytes.toString('latin1', 0, 64));
  const { status } = response;
  if (!isJson) {
    if (/^text\//i.test(type)) throw invalidOutput('it is not JSON', undefined, bytes.toString());
    return new Response(bytes, { status, headers: type === '' ? {} : { 'content-type': type } });
  }
  const text = bytes.toString();
  const body = tryParse(text);
  if (body === undefined) throw invalidOutput('it is not JSON', undefined, text);
  assertNoError(body);
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
}

function tryParse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function translateError(
  error: unknown,
  model: string,
  token: string | undefined,
  urls: readonly (string | undefined)[],
): unknown {
  if (error instanceof InferenceClientInputError) return unsupportedRequest(error.message, 'model');
  if (error instanceof InferenceClientProviderOutputError)
    return invalidOutput('it does not have the format that the client expects', error, error.message);
  return translateUpstreamError(error, {
    provider: 'Hugging Face',
    secret: token,
    urls,
    advice: {
      token: 'Set HF_TOKEN to a token with permission to call Inference Providers.',
      credit: 'The account of HF_TOKEN has no credit left: see https://huggingface.co/settings/billing.',
      model: `See https://huggingface.co/${model}: request access there if the model is gated, and check which providers serve it.`,
    },
  });
}
