/**
 * An Ollama server by its own API (https://github.com/ollama/ollama/blob/main/docs/api.md): JSON, and where an answer
 * comes in pieces, a line of JSON each. Its client is not used: it can be aborted only as a whole.
 */
import type { ProviderFailure } from '#domain';
import { callUpstream } from '../call-upstream.ts';
import {
  buildUpstreamFailure,
  isNetworkError,
  isParseError,
  invalidOutput,
  unreachable,
} from '../failures.ts';

export interface OllamaOptions {
  /** Without a path, e.g. `http://127.0.0.1:11434`. */
  readonly url: string;
  /** For a server that asks for one. */
  readonly key?: string | undefined;
  /** Calls under way at once, in all and to one model. */
  readonly concurrency: number;
  readonly concurrencyOf?: (model: string) => number | undefined;
}

/** What any answer may be instead, also in the middle of a stream. */
interface Refusal {
  readonly error?: string;
}

export class Connection {
  constructor(private readonly options: OllamaOptions) {}

  /** @throws ProviderFailure, or the reason of the signal. */
  get<T>(path: string, signal: AbortSignal): Promise<T> {
    return this.call(signal, async () => (await (await this.send(path, { signal })).json()) as T);
  }

  /** @throws ProviderFailure, or the reason of the signal. */
  post<T>(path: string, body: object, signal: AbortSignal): Promise<T> {
    const init = { method: 'POST', body: JSON.stringify({ ...body, stream: false }), signal };
    return this.call(signal, async () => (await (await this.send(path, init)).json()) as T);
  }

  /** Gives each line to `take`, as it comes. @throws ProviderFailure, or the reason of the signal. */
  stream<T>(path: string, body: object, signal: AbortSignal, take: (line: T) => void): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify({ ...body, stream: true }), signal };
    return this.call(signal, async () => {
      const response = await this.send(path, init);
      for await (const text of linesOf(response)) {
        const line = JSON.parse(text) as T & Refusal;
        if (line.error !== undefined) throw this.refused(statusOf(line.error), line.error, null);
        take(line);
      }
    });
  }

  private call<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    return callUpstream(signal, run, (error) => {
      if (isNetworkError(error)) return unreachable('Ollama', error);
      return isParseError(error) ? invalidOutput('it is not JSON', error) : error;
    });
  }

  private async send(path: string, init: RequestInit): Promise<Response> {
    const { url, key } = this.options;
    const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
    const response = await fetch(url + path, { ...init, headers });
    if (response.ok) return response;
    throw this.refused(response.status, messageOf(await response.text()), response.headers);
  }

  private refused(status: number, message: string, headers: Headers | null): ProviderFailure {
    return buildUpstreamFailure(
      { status, message, headers, cause: undefined },
      {
        provider: 'Ollama',
        secret: this.options.key,
        advice: {
          token: 'Set OLLAMA_KEY to the key that it asks for.',
          credit: 'Its account has no credit left.',
          model: 'See https://ollama.com/library for the names of models.',
        },
      },
    );
  }
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  let rest = '';
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  if (rest.trim() !== '') yield rest;
}

/** In a stream that began well there is no status: its words have to do. */
const statusOf = (message: string) => (/not found|does not exist/i.test(message) ? 404 : 500);

/** `{"error":"…"}`, or what a proxy says in its place. */
function messageOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return error;
    return (error as { message?: string } | undefined)?.message ?? text;
  } catch {
    return text;
  }
}
