/**
 * Reads an answer that may be a stream: server-sent events (HTML Living Standard, 9.2), one JSON object per line, or one
 * JSON object although a stream was requested, and the reverse. What the body is decides, not what was requested.
 */
import { assertNoError, invalidOutput, toRefusal } from './failures.ts';
import { parseJson } from './parse-json.ts';
import { readError } from './read-error.ts';

export interface AnswerPart {
  /** A chunk of a stream; otherwise the whole answer. */
  readonly isChunk: boolean;
  readonly body: unknown;
}

/** @throws UpstreamRefusal if the answer reports an error; ProviderFailure, code `invalid_output`. */
export async function* readAnswer(response: Response): AsyncGenerator<AnswerPart> {
  const lines = readLines(response);
  const first = await findFirstLine(lines);
  if (first === null) throw invalidOutput('it is empty');
  const type = response.headers.get('content-type') ?? '';
  const isEvents = /^text\/event-stream/i.test(type)
    ? !/^\s*[{[]/.test(first)
    : /^(data|event|id|retry)?:/.test(first);
  yield* isEvents ? readEvents(first, lines) : readWhole(first, lines);
}

/** Reads one JSON object per line, as Ollama streams them. @throws like `readAnswer` */
export async function* readJsonLines(response: Response): AsyncGenerator<unknown> {
  for await (const line of readLines(response)) {
    if (line.trim() === '') continue;
    const body = parse(line);
    assertNoError(body);
    yield body;
  }
}

/** @throws like `readAnswer` */
export async function readJson(response: Response): Promise<unknown> {
  const body = parse(await response.text());
  assertNoError(body);
  return body;
}

async function* readWhole(first: string, lines: AsyncGenerator<string>): AsyncGenerator<AnswerPart> {
  const all = [first];
  // Gateways put the end of a stream after a whole answer.
  for await (const line of lines) if (!/^data:\s*\[DONE\]/.test(line)) all.push(line);
  const bodies = all.length > 1 ? all.filter((line) => line.trim() !== '').map(tryParse) : [];
  // One object per line is a stream too.
  if (bodies.length > 1 && bodies.every((body) => typeof body === 'object' && body !== null)) {
    for (const body of bodies) assertNoError(body);
    for (const body of bodies) yield { isChunk: true, body };
    return;
  }
  const body = parse(all.join('\n'));
  assertNoError(body);
  yield { isChunk: false, body };
}

/** Servers that end a stream without a blank line, or put two chunks into one event, are read too. */
async function* readEvents(first: string, lines: AsyncGenerator<string>): AsyncGenerator<AnswerPart> {
  let event = '';
  let data: string[] = [];
  for (let line: string | undefined = first; line !== undefined; line = await next(lines)) {
    if (line !== '') {
      const [, field, value = ''] = /^(\w*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'data') data.push(value);
      if (field === 'event') event = value;
      continue;
    }
    const parts = parseEvent(event, data);
    [event, data] = ['', []];
    if (parts === null) return;
    yield* parts;
  }
  yield* parseEvent(event, data) ?? [];
}

/** @returns null if it is the end of the stream. */
function parseEvent(event: string, data: readonly string[]): AnswerPart[] | null {
  const text = data.join('\n').trim();
  if (text === '[DONE]') return null;
  // Events that are not of a completion: a gateway's pings and notices.
  if (text === '' || event === 'ping') return [];
  if (event === 'error') throw toRefusal(readError(tryParse(text) ?? text));
  const whole = tryParse(text);
  const bodies =
    whole === undefined ? data.filter((part) => !/^\s*(\[DONE\])?\s*$/.test(part)).map(parse) : [whole];
  for (const body of bodies) assertNoError(body);
  return bodies.map((body) => ({ isChunk: true, body }));
}

function tryParse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  const body = tryParse(text);
  if (body === undefined) throw invalidOutput('it is not JSON', undefined, text);
  return body;
}

async function findFirstLine(lines: AsyncGenerator<string>): Promise<string | null> {
  for (let line = await next(lines); line !== undefined; line = await next(lines)) {
    // Comments keep a connection open.
    if (line.trim() !== '' && !line.startsWith(':')) return line;
  }
  return null;
}

const next = async (lines: AsyncGenerator<string>): Promise<string | undefined> => {
  const result = await lines.next();
  return result.done === true ? undefined : result.value;
};

/** Lines end with LF, CRLF or CR. */
async function* readLines(response: Response): AsyncGenerator<string> {
  let rest = '';
  let parts: string[] = [];
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    // A line may be megabytes in many parts: they are joined once.
    if (!/[\r\n]/.test(text)) {
      parts.push(text);
      continue;
    }
    // A CR at the end may be the first half of CRLF.
    const lines = (rest + parts.join('') + text).split(/\r\n|\n|\r(?!$)/);
    parts = [];
    rest = lines.pop()!;
    yield* lines;
  }
  rest += parts.join('');
  if (rest !== '') yield rest.replace(/\r$/, '');
}
