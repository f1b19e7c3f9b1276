/** docs/reference/errors.md is generated from the table of error codes, and the table has every code that the sources use. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errorCodeGroups, findErrorCode, type ErrorCodeInfo } from '@millrace/contracts';

const root = new URL('../../../', import.meta.url);
const page = new URL('docs/reference/errors.md', root);

const introduction = `# Errors

OpenAI's routes answer \`{"error": {message, type, param, code}}\`; \`/v1/tasks\`, \`/v1/workers\` and \`/v1/usage\` answer problem details
(RFC 9457) with the same codes. \`code\` is stable; \`message\` says what to do and may change. \`param\` names the field, dotted. Every answer
has \`x-request-id\`: name it when you report a problem.

A status of "–" means that the code is in a batch line or a batch's \`errors\`, or comes with the provider's own status. A code that is not
listed is the provider's own.
`;

function buildPage(): string {
  const sections = Object.entries(errorCodeGroups).map(([title, codes]) => {
    const rows = Object.entries<ErrorCodeInfo>(codes).map(
      ([code, { status, meaning, action }]) => `| \`${code}\` | ${status ?? '–'} | ${meaning} | ${action} |`,
    );
    return [
      `## ${title}`,
      '',
      '| code | status | what happened | what to do |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n');
  });
  return `${introduction}\n${sections.join('\n\n')}\n`;
}

/** Write the page again by deleting it and running this test. */
test('docs/reference/errors.md equals the generated table', () => {
  let text: string | null = null;
  try {
    text = readFileSync(page, 'utf8');
  } catch {
    writeFileSync(page, buildPage());
  }
  if (text !== null) expect(text).toBe(buildPage());
});

const sources = ['apps/api', 'apps/worker', 'libs']
  .flatMap((folder) =>
    readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${folder}/${name}`,
    ),
  )
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'))
  .map((path) => ({ path, text: readFileSync(new URL(path, root), 'utf8') }));

/** Codes of other things: of a webhook attempt's log, of SQLSTATE, of a Node error. */
const otherCodes = new Set(['custom', 'secret_unreadable']);

test('every code in the sources is in the table', () => {
  const unknown = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/\bcode: '([a-z][a-z_]+)'/g)]
      .map(([, code = '']) => code)
      .filter((code) => !findErrorCode(code) && !otherCodes.has(code))
      .map((code) => `${path}: ${code}`),
  );
  expect(unknown).toEqual([]);
});

test('every code in the table is in the sources', () => {
  const all = sources.map(({ text }) => text).join('\n');
  const codes = Object.values(errorCodeGroups).flatMap((group) => Object.keys(group));
  const unused = codes.filter((code) => !new RegExp(`['"\`]${code}['"\`]`).test(all));
  // Built from a status: upload_completed and so on; sandbox_400 and so on.
  expect(
    unused.filter(
      (code) =>
        !/^(upload_(completed|cancelled|expired)|batch_(cancelled|expired)|sandbox_error)$/.test(code),
    ),
  ).toEqual([]);
});
