/** A progress bar: redrawn in place on a terminal, one line per 10 % elsewhere. */

export interface ProgressBar {
  update(done: number, total: number, state: string): void;
  /** Ends the line of the bar. */
  finish(): void;
}

const width = 40;
const number = new Intl.NumberFormat('en-US');

export function createProgressBar(out: NodeJS.WriteStream): ProgressBar {
  const startedAt = performance.now();
  let tenth = -1;
  let drawn = '';
  const text = (done: number, total: number, state: string): string => {
    const share = total > 0 ? done / total : 0;
    const full = Math.round(share * width);
    const rate = done / ((performance.now() - startedAt) / 1_000);
    const bar = `${'█'.repeat(full)}${'░'.repeat(width - full)}`;
    const counts = total > 0 ? `${number.format(done)} of ${number.format(total)}` : '';
    const speed = done > 0 ? `${number.format(Math.round(rate))} lines/s` : '';
    return `   ${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${[counts, speed, state].filter(Boolean).join('  ')}`;
  };
  return {
    update(done, total, state) {
      const line = text(done, total, state);
      if (out.isTTY) {
        out.write(`\r\x1b[2K${line.slice(0, (out.columns || 100) - 1)}`);
        drawn = line;
        return;
      }
      const now = total > 0 ? Math.floor((done / total) * 10) : -1;
      if (now > tenth) out.write(`${line}\n`);
      tenth = Math.max(tenth, now);
    },
    finish() {
      if (drawn) out.write('\n');
    },
  };
}
