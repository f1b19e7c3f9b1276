/**
 * Calls an Ollama server by its own API (https://github.com/ollama/ollama/blob/main/docs/api.md): JSON, and one JSON
 * object per line for streams. Ollama's client library is not used, because it cannot abort a single request.
 */
import type { ProviderFailure } from '#domain';
import { callUpstream } from '../call-upstream.ts';
import type { ProviderCredential } from '../credential.ts';
import {
  buildUpstreamFailure,
  invalidOutput,
  isNetworkError,
  isParseError,
  unreachable,
} from '../failures.ts';

export interface OllamaOptions {
  /** Without a path, for example `http://127.0.0.1:11434`. */
  readonly url: string;
  /** The token of the default credential, for a server that needs one. */
  readonly key?: string | undefined;
  /** Maximum concurrent calls, in total and per model. */
  readonly concurrency: number;
  readonly getModelConcurrency?: (model: string) => number | undefined;
}

/** Sent in place of any response, also in the middle of a stream. */
interface OllamaError {
  readonly error?: string;
}

export class Connection {
  constructor(private readonly options: Pick<OllamaOptions, 'url'>) {}

  /** @throws ProviderFailure, or the signal's reason. */
  get<T>(path: string, credential: ProviderCredential, signal: AbortSignal): Promise<T> {
    return call(signal, async () => {
      const response = await this.send(path, { signal }, credential);
      return (await response.json()) as T;
    });
  }

  /** @throws ProviderFailure, or the signal's reason. */
  post<T>(path: string, body: object, credential: ProviderCredential, signal: AbortSignal): Promise<T> {
    const init = { method: 'POST', body: JSON.stringify({ ...body, stream: false }), signal };
    return call(signal, async () => {
      const response = await this.send(path, init, credential);
      return (await response.json()) as T;
    });
  }

  /** Passes each line to `onLine` as it arrives. @throws ProviderFailure, or the signal's reason. */
  stream<T>(
    path: string,
    body: object,
    credential: ProviderCredential,
    signal: AbortSignal,
    onLine: (line: T) => void,
  ): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify({ ...body, stream: true }), signal };
    return call(signal, async () => {
      const response = await this.send(path, init, credential);
      for await (const text of readLines(response)) {
        const line = JSON.parse(text) as T & OllamaError;
        if (line.error !== undefined)
          throw buildFailure(guessStatus(line.error), line.error, null, await credential.getToken());
        onLine(line);
      }
    });
  }

  private async send(path: string, init: RequestInit, credential: ProviderCredential): Promise<Response> {
    const token = await credential.getToken();
    const headers = {
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    };
    const response = await fetch(this.options.url + path, { ...init, headers });
    if (response.ok) return response;
    throw buildFailure(response.status, parseMessage(await response.text()), response.headers, token);
  }
}

function call<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  return callUpstream(signal, run, (error) => {
    if (isNetworkError(error)) return unreachable('Ollama', error);
    return isParseError(error) ? invalidOutput('it is not JSON', error) : error;
  });
}

function buildFailure(
  status: number,
  message: string,
  headers: Headers | null,
  token: string | undefined,
): ProviderFailure {
  return buildUpstreamFailure(
    { status, message, headers, cause: undefined },
    {
      provider: 'Ollama',
      secret: token,
      advice: {
        token: 'Set OLLAMA_KEY to the key that the server expects.',
        credit: 'Its account has no credit left.',
        model: 'See https://ollama.com/library for the names of models.',
      },
    },
  );
}

async function* readLines(response: Response): AsyncGenerator<string> {
  let rest = '';
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  if (rest.trim() !== '') yield rest;
}

/** An error in the middle of a stream has no status, so it is guessed from the message. */
const guessStatus = (message: string) => (/not found|does not exist/i.test(message) ? 404 : 500);

/** @returns the message of `{"error": "…"}`, or the whole text if it comes from a proxy. */
function parseMessage(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return error;
    return (error as { message?: string } | undefined)?.message ?? text;
  } catch {
    return text;
  }
}
