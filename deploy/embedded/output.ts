/** The supervisor's one way to the terminal: its own lines and its children's, readable or as the JSON they are. */
import { prefixLines, formatLogLine } from './log-lines.ts';

export type LogLevel = 'info' | 'warn' | 'error';

export interface SupervisorOutput {
  readonly writeChildLine: (name: string, line: string) => void;
  readonly log: (message: string, level?: LogLevel) => void;
}

export interface OutputOptions {
  readonly format: 'pretty' | 'json';
  /** Least level of our own lines; the children are given the same setting. */
  readonly level: string;
  readonly color: boolean;
  readonly write: (text: string) => void;
}

const levelOrder = ['debug', 'info', 'warn', 'error', 'silent'];

export function createOutput({ format, level, color, write }: OutputOptions): SupervisorOutput {
  const writeChildLine = (name: string, text: string): void => {
    write(format === 'json' ? `${text}\n` : `${prefixLines(name, formatLogLine(text, color), color)}\n`);
  };
  return {
    writeChildLine,
    log(msg, at = 'info') {
      if (levelOrder.indexOf(at) < levelOrder.indexOf(level)) return;
      writeChildLine('millrace', JSON.stringify({ level: at, time: Date.now(), service: 'supervisor', msg }));
    },
  };
}
