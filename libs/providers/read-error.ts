/**
 * Reads the error that a server reports in a body, in any of the shapes that servers use: OpenAI's object, a string,
 * FastAPI's `detail`, problem details, a list, HTML of a proxy. Used for answers with an error status, for errors behind
 * a 200, and for errors in a stream.
 */
import { parseJson } from './parse-json.ts';
import { toStorableText } from './storable-text.ts';

export interface ReportedError {
  /** The server's own words. */
  readonly message: string;
  /** The server's own code, or the type if it has none. */
  readonly code: string | null;
  readonly param: string | null;
  /** The HTTP status that the body names, or that its code, its type or its words stand for. */
  readonly status: number | null;
  /** How long the server says to wait, in a field or in words. */
  readonly retryAfterMs: number | null;
}

type Fields = Readonly<Record<string, unknown>>;

const maxCodeLength = 64;
const maxParamLength = 256;
/** Nesting that is followed: OpenRouter wraps the error of another gateway, as JSON text in a string. */
const maxDepth = 6;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param text the body of an answer with an error status. */
export function readErrorBody(text: string): ReportedError {
  return readError(parseIfJson(text));
}

export function readError(body: unknown): ReportedError {
  const message = findWords(body);
  const layers = listLayers(body);
  const codes = layers.flatMap(({ code, type, status, error_type: errorType }) => [
    code,
    type,
    status,
    errorType,
  ]);
  const names = codes.filter((value): value is string => typeof value === 'string' && /[a-z]/i.test(value));
  return {
    message,
    code: names[0] === undefined ? null : toStorableText(names[0], maxCodeLength),
    param: findParam(layers),
    status:
      findStatus(layers) ?? guessStatus(names.join(' '), statusByName) ?? guessStatus(message, statusByWords),
    retryAfterMs: findRetryAfter(layers, message),
  };
}

/** Fields that hold an answer. A body with one of them is not an error, even if it has an `error` beside it. */
const answerFields = ['choices', 'data', 'embeddings', 'results', 'message', 'response', 'text', 'output'];

/** @returns the error of a body that came with a status of success; null if the body reports none. */
export function findError(body: unknown): ReportedError | null {
  if (!isObject(body) || isRun(body)) return null;
  const { error, errors, object, success, base_resp: minimax } = body;
  const isError =
    isPresent(error) ||
    object === 'error' ||
    body['type'] === 'error' ||
    success === false ||
    (Array.isArray(errors) && errors.length > 0);
  if (isError && (object === 'error' || !hasAnswer(body))) return readError(body);
  // https://platform.minimax.io/docs/api-reference/errorcode: the status is always 200.
  if (isObject(minimax) && typeof minimax['status_code'] === 'number' && minimax['status_code'] !== 0) {
    return readError({ message: minimax['status_msg'], code: `minimax_${minimax['status_code']}` });
  }
  return null;
}

/** The state of a run has the run's error in it: the poll has not failed. */
const isRun = ({ status, id, request_id: requestId, logs }: Fields) =>
  typeof status === 'string' && [id, requestId, logs].some((value) => value !== undefined && value !== null);

const isPresent = (value: unknown) =>
  value !== undefined && value !== null && value !== false && value !== '' && !isEmptyObject(value);
const isEmptyObject = (value: unknown) => isObject(value) && Object.keys(value).length === 0;

const hasAnswer = (body: Fields) =>
  answerFields.some((name) => {
    const value = body[name];
    if (name === 'message') return isObject(value);
    return Array.isArray(value) ? value.length > 0 : isPresent(value);
  });

function parseIfJson(text: string): unknown {
  const trimmed = text.trim();
  if (!/^[{["]/.test(trimmed)) return toPlainText(trimmed);
  try {
    return parseJson(trimmed);
  } catch {
    return trimmed;
  }
}

/** HTML of a proxy: the title and the text, without markup. */
function toPlainText(text: string): string {
  if (!/^<(!doctype|html|head|body|\?xml|[A-Z])/i.test(text)) return text;
  return text
    .replace(/<(script|style)\b.*?<\/\1>/gis, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** The object and the errors nested in it, outermost last, because the innermost one knows best. */
function listLayers(body: unknown, depth = 0): Fields[] {
  if (depth > maxDepth) return [];
  if (typeof body === 'string') {
    const parsed = /^\s*[{[]/.test(body) ? parseIfJson(body) : null;
    return isObject(parsed) || Array.isArray(parsed) ? listLayers(parsed, depth + 1) : [];
  }
  if (Array.isArray(body)) return body.slice(0, 1).flatMap((item) => listLayers(item, depth + 1));
  if (!isObject(body)) return [];
  const { error, detail, errors } = body;
  return [...[error, detail, errors].flatMap((item) => listLayers(item, depth + 1)), body];
}

const wordFields = [
  'error',
  'message',
  'detail',
  'msg',
  'errors',
  'error_message',
  'description',
  'title',
  'reason',
];

/** @returns the first words of the body; those of FastAPI's list name the field of each. */
function findWords(body: unknown, depth = 0): string {
  if (depth > maxDepth) return '';
  if (typeof body === 'string') {
    const parsed = /^\s*[{[]/.test(body) ? parseIfJson(body) : body;
    return typeof parsed === 'string' ? parsed.trim() : findWords(parsed, depth + 1) || body.trim();
  }
  if (Array.isArray(body)) {
    const words = body.map((item: unknown) => findWords(item, depth + 1)).filter((text) => text !== '');
    return words.slice(0, 5).join('; ');
  }
  if (!isObject(body)) return '';
  const location = toLocation(body['loc']);
  for (const name of wordFields) {
    const words = findWords(body[name], depth + 1);
    if (words === '') continue;
    const raw = isObject(body['metadata']) ? findWords(body['metadata']['raw'], depth + 1) : '';
    return [location, words, raw].filter((text) => text !== '').join(': ');
  }
  return depth === 0 && Object.keys(body).length > 0 ? JSON.stringify(body) : '';
}

/** FastAPI's `loc`: `["body", "messages", 0, "content"]`. */
const toLocation = (loc: unknown): string =>
  Array.isArray(loc) ? loc.filter((part) => part !== 'body').join('.') : '';

function findParam(layers: readonly Fields[]): string | null {
  for (const { param, loc } of layers) {
    const name = typeof param === 'string' ? param : toLocation(loc);
    if (name !== '') return toStorableText(name, maxParamLength);
  }
  return null;
}

function findStatus(layers: readonly Fields[]): number | null {
  for (const {
    code,
    status,
    status_code: statusCode,
    statusCode: camelStatus,
    http_code: httpCode,
  } of layers) {
    for (const value of [code, status, statusCode, camelStatus, httpCode]) {
      const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value;
      if (typeof number === 'number' && Number.isInteger(number) && number >= 400 && number <= 599)
        return number;
    }
  }
  return null;
}

type StatusRule = readonly [pattern: RegExp, status: number];

/** Codes and types, of OpenAI, Anthropic, Google (gRPC), vLLM and others. The first match counts. */
const statusByName: readonly StatusRule[] = [
  [/insufficient[_ ]?(quota|credit|balance|funds)|billing|payment/i, 402],
  [/rate[_ ]?limit|too[_ ]?many[_ ]?requests|resource[_ ]?exhausted|throttl|quota|minimax_1002/i, 429],
  [/overload|unavailable|capacity|loading/i, 503],
  [/unauthenticated|unauthorized|authentication|invalid[_ ]?api[_ ]?key/i, 401],
  [/permission|forbidden/i, 403],
  [/not[_ ]?found/i, 404],
  [/time[_ ]?out|deadline/i, 408],
  [/invalid|bad[_ ]?request|validation|unprocessable|context[_ ]?length|content[_ ]?(policy|filter)/i, 400],
  [/internal|server[_ ]?error|api[_ ]?error/i, 500],
];

/** Words of an error without a code. Only plain words are classified. */
const statusByWords: readonly StatusRule[] = [
  [/rate limit|too many requests/i, 429],
  [/overloaded|temporarily unavailable|currently loading|no capacity/i, 503],
  [/(model|file).*(not found|does not exist)|not found.*model|unexpected endpoint/i, 404],
];

const guessStatus = (text: string, rules: readonly StatusRule[]): number | null =>
  rules.find(([pattern]) => pattern.test(text))?.[1] ?? null;

const maxRetryAfterMs = 3_600_000;

/**
 * Google's `RetryInfo` (`"retryDelay": "34s"`), Hugging Face's `estimated_time` of a loading model in seconds, and the
 * words of OpenAI ("try again in 1.2s", "in 20ms") and Azure ("retry after 26 seconds").
 */
function findRetryAfter(layers: readonly Fields[], message: string): number | null {
  for (const { estimated_time: seconds, retry_after: after, details } of layers) {
    for (const value of [seconds, after]) if (typeof value === 'number') return toMs(value, 's');
    for (const detail of Array.isArray(details) ? (details as unknown[]) : []) {
      const delay = isObject(detail) ? detail['retryDelay'] : undefined;
      const [, text, unit] = typeof delay === 'string' ? (/^([\d.]+)(ms|s)$/.exec(delay) ?? []) : [];
      if (text !== undefined) return toMs(Number(text), unit);
    }
  }
  const [, text, unit] =
    /(?:try again in|retry after|retry in|available in)\s+([\d.]+)\s*(ms|milliseconds?|m\b|minutes?|s\b|seconds?)/i.exec(
      message,
    ) ?? [];
  return text === undefined ? null : toMs(Number(text), unit);
}

function toMs(value: number, unit = 's'): number | null {
  const factor = /^(ms|milli)/i.test(unit) ? 1 : /^m/i.test(unit) ? 60_000 : 1_000;
  const ms = Math.ceil(value * factor);
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, maxRetryAfterMs) : null;
}
