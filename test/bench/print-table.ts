/** Prints a table; every column except the first is aligned to the right. */

type Cell = string | number | null;

export function printTable(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  print: (line: string) => void,
): void {
  const text = [columns, ...rows.map((row) => row.map(formatCell))];
  const widths = columns.map((_, at) => Math.max(...text.map((row) => row[at]!.length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('   ')}`.trimEnd();
  print('');
  print(line(text[0]!));
  print(`  ${'─'.repeat(widths.reduce((sum, width) => sum + width, 3 * (widths.length - 1)))}`);
  for (const row of text.slice(1)) print(line(row));
}

function formatCell(cell: Cell): string {
  if (cell === null) return '–';
  return typeof cell === 'number' ? cell.toLocaleString('en', { maximumFractionDigits: 3 }) : cell;
}
