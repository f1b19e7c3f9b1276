/** All output of the supervisor: its own log lines and its children's, as readable text or as JSON. */
import { prefixLines, formatLogLine } from './log-lines.ts';

export type LogLevel = 'info' | 'warn' | 'error';

export interface SupervisorOutput {
  readonly writeChildLine: (name: string, line: string) => void;
  readonly log: (message: string, level?: LogLevel) => void;
}

export interface OutputOptions {
  readonly format: 'pretty' | 'json';
  /** Lowest level of the supervisor's own lines. The children get the same setting. */
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
