/** One way in which a real server answers other than its API says, and the helpers that write such answers. */
import type { Reply, UpstreamCall } from '../call.ts';

export interface Misbehaviour {
  /** The model that answers so. Providers with owners use `misbehaving/<name>`. */
  readonly name: string;
  /** Where it was seen: a page of documentation, an issue or a pull request. */
  readonly source: string;
  readonly path: RegExp;
  readonly answer: (call: UpstreamCall) => Reply;
}

export const chatPath = /\/chat\/completions$/;

const replyAs = (type: string, text: string, status: number): Reply => ({
  status,
  headers: type === '' ? {} : { 'content-type': type },
  bytes: Buffer.from(text),
});

export const json = (body: unknown, status = 200): Reply =>
  replyAs('application/json', JSON.stringify(body), status);
/** JSON that `JSON.stringify` does not write. */
export const rawJson = (text: string, status = 200): Reply => replyAs('application/json', text, status);
export const html = (text: string, status = 200): Reply => replyAs('text/html', text, status);
export const untyped = (text: string, status = 200): Reply => replyAs('', text, status);

/** A completion whose only choice is this. */
export const completion = (choice: object, more: object = {}): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: 'x',
  choices: [choice],
  ...more,
});

export const said = (content: unknown, more: object = {}): object =>
  completion({ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop', ...more });

/** A stream whose chunks are objects, or text that is sent as it is. */
export const stream = (...parts: (object | string)[]): Reply => ({
  headers: { 'content-type': 'text/event-stream' },
  pieces: parts.map((part) => (typeof part === 'string' ? part : `data: ${JSON.stringify(part)}\n\n`)),
});

export const done = 'data: [DONE]\n\n';

export const chunk = (delta: unknown, finish_reason: unknown = null, more: object = {}): object => ({
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, finish_reason }],
  ...more,
});

export const call = (
  index: number | undefined,
  id: string | undefined,
  name: string | null,
  args: unknown,
) => ({
  ...(index !== undefined && { index }),
  ...(id !== undefined && { id }),
  type: 'function',
  function: { name, arguments: args },
});

export const isStreamed = ({ body }: UpstreamCall): boolean =>
  (body as { stream?: unknown } | null)?.stream === true;
