/** The table of docs/reference/kinds.md, generated from the catalogue and the endpoint table. */
import { z } from 'zod';
import type { Kind } from '#catalogue';
import { listEndpointPaths } from '#openai-endpoints';

/** @returns the page's table, in Markdown. */
export function buildKindsTable(kinds: readonly Kind[]): string {
  const rows = kinds.map(({ id, title, modalities, input, timeoutMs, maxTimeoutMs, chunk, streams }) => [
    `\`${id}\``,
    title,
    `${modalities.in.join(', ')} → ${modalities.out.join(', ')}`,
    listFields(input),
    [...listEndpointPaths(id), '/v1/tasks'].map((path) => `\`${path}\``).join(', '),
    `${formatDuration(timeoutMs)} / ${formatDuration(maxTimeoutMs)}`,
    String(chunk.maxLines),
    streams ? 'yes' : '',
  ]);
  const head = [
    'kind',
    'name',
    'from → to',
    'fields (needed ones first)',
    'endpoints',
    'time of a call: default / longest',
    'lines a chunk',
    'streams',
  ];
  const toRow = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [toRow(head), toRow(head.map(() => '---')), ...rows.map(toRow)].join('\n');
}

function listFields(schema: z.ZodType): string {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  const others = Object.keys(properties).filter((name) => !required.includes(name));
  const needed = required.map((name) => `**${name}**`);
  return [...needed, ...others].join(', ');
}

const formatDuration = (ms: number) => (ms < 3_600_000 ? `${ms / 60_000} min` : `${ms / 3_600_000} h`);
