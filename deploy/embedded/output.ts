/** The supervisor's one way to the terminal: its own lines and its children's, readable or as the JSON they are. */
import { prefixed, readable } from './log-lines.ts';

export type Level = 'info' | 'warn' | 'error';

export interface Output {
  readonly line: (name: string, line: string) => void;
  readonly log: (message: string, level?: Level) => void;
}

export interface OutputOptions {
  readonly format: 'pretty' | 'json';
  /** Least level of our own lines; the children are given the same setting. */
  readonly level: string;
  readonly colour: boolean;
  readonly write: (text: string) => void;
}

const order = ['debug', 'info', 'warn', 'error', 'silent'];

export function createOutput({ format, level, colour, write }: OutputOptions): Output {
  const line = (name: string, text: string): void => {
    write(format === 'json' ? `${text}\n` : `${prefixed(name, readable(text, colour), colour)}\n`);
  };
  return {
    line,
    log(msg, at = 'info') {
      if (order.indexOf(at) < order.indexOf(level)) return;
      line('millrace', JSON.stringify({ level: at, time: Date.now(), service: 'supervisor', msg }));
    },
  };
}
