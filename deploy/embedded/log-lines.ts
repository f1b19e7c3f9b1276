/** Formats a process's output for the terminal: pino's JSON as readable lines, with the process's name in front. */
import type { Readable } from 'node:stream';

const levels: Record<string, { name: string; color: number }> = {
  trace: { name: 'TRACE', color: 90 },
  debug: { name: 'DEBUG', color: 90 },
  info: { name: 'INFO ', color: 32 },
  warn: { name: 'WARN ', color: 33 },
  error: { name: 'ERROR', color: 31 },
  fatal: { name: 'FATAL', color: 31 },
};

const paint = (text: string, color: number, on: boolean): string =>
  on ? `\x1b[${color}m${text}\x1b[0m` : text;

/** Shown in another way, or the same in every line of a process. */
const hiddenKeys = new Set(['level', 'time', 'msg', 'service', 'pid', 'hostname', 'err']);

function formatTime(time: unknown): string {
  const at = new Date(typeof time === 'number' || typeof time === 'string' ? time : Number.NaN);
  if (Number.isNaN(at.getTime())) return '';
  const two = (n: number): string => String(n).padStart(2, '0');
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}

/** Formats a line of pino as `time LEVEL message key=value`, with the stack of an error below. Returns other lines as they are. */
export function formatLogLine(line: string, color: boolean): string {
  if (!line.startsWith('{')) return line;
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const level = levels[String(entry['level'])];
  if (!level) return line;
  const pairs = Object.entries(entry)
    .filter(([key]) => !hiddenKeys.has(key))
    .map(([key, value]) => `${paint(`${key}=`, 90, color)}${formatValue(value)}`);
  const err = entry['err'] as { message?: string; stack?: string } | undefined;
  const time = paint(formatTime(entry['time']), 90, color);
  const message = typeof entry['msg'] === 'string' ? entry['msg'] : '';
  const head = [time, paint(level.name, level.color, color), message, ...pairs].filter(Boolean).join(' ');
  const trace = err?.stack ?? err?.message;
  return trace ? `${head}\n${trace.replace(/^/gm, '    ')}` : head;
}

const nameColors: Record<string, number> = { api: 36, worker: 35, migrate: 33, millrace: 34 };

/** Puts `api │ ` in front of every line of `text`. */
export function prefixLines(name: string, text: string, color: boolean): string {
  const prefix = paint(`${name.padEnd(8)} │`, nameColors[name.replace(/-\d+$/, '')] ?? 37, color);
  return text.replace(/^/gm, `${prefix} `);
}

/** In characters. A longer line is cut, so that output without line breaks cannot fill the memory. */
const maxLineLength = 1_000_000;

export function forEachLine(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
    if (rest.length > maxLineLength) {
      take(rest.slice(0, maxLineLength));
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest) take(rest);
  });
}
