/** docs/kinds.md, from the catalogue itself. */
import { z } from 'zod';
import { listEndpointPaths } from './endpoints.ts';
import type { Kind } from './kind.ts';

/** @returns the page's table. */
export function kindsTable(kinds: readonly Kind[]): string {
  const rows = kinds.map(
    ({ id, title, modalities, endpoint = '', input, timeoutMs, longestMs, chunk, streams }) => [
      `\`${id}\``,
      title,
      `${modalities.in.join(', ')} → ${modalities.out.join(', ')}`,
      fieldsOf(input),
      [...listEndpointPaths({ id, endpoint }), '/v1/tasks'].map((path) => `\`${path}\``).join(', '),
      `${minutes(timeoutMs)} / ${minutes(longestMs)}`,
      String(chunk.maxLines),
      streams ? 'yes' : '',
    ],
  );
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
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function fieldsOf(schema: z.ZodType): string {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  const others = Object.keys(properties).filter((name) => !required.includes(name));
  const needed = required.map((name) => `**${name}**`);
  return [...needed, ...others].join(', ');
}

const minutes = (ms: number) => (ms < 3_600_000 ? `${ms / 60_000} min` : `${ms / 3_600_000} h`);
