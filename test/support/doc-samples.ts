/** The fenced code blocks of the documentation, so that tests can run them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface CodeBlock {
  /** Page of the block, relative to the repository. */
  readonly page: string;
  /** 1-based line of the opening fence. */
  readonly line: number;
  /** `ts`, `js`, `python`, `sh`, `console`, `ini`, `json` or `text`. */
  readonly language: string;
  /** For a part of a file: the file that contains it and that other tests run. */
  readonly file?: string;
  readonly code: string;
}

/** @returns the README and every page below docs/, relative to the repository. */
export function listPages(): string[] {
  const pages = readdirSync(join(root, 'docs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  return ['README.md', ...pages.sort()];
}

export const readPage = (page: string): string => readFileSync(join(root, page), 'utf8');

/** @throws Error for a block without a language, and for one that is not closed. */
export function parseCodeBlocks(page: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { indent: string; language: string; file?: string; line: number; lines: string[] } | null = null;
  readPage(page)
    .split('\n')
    .forEach((text, index) => {
      if (open) {
        if (text.trim() !== '```') return void open.lines.push(text.slice(open.indent.length));
        const { language, file, line, lines } = open;
        blocks.push({ page, line, language, code: `${lines.join('\n')}\n`, ...(file && { file }) });
        open = null;
        return;
      }
      const fence = /^( *)```(\S*)(?: file=(\S+))?$/.exec(text);
      if (!fence) return;
      const [, indent = '', language = '', file] = fence;
      if (language === '') throw new Error(`${page}:${index + 1}: a code block needs a language`);
      open = { indent, language, line: index + 1, lines: [], ...(file && { file }) };
    });
  if (open) throw new Error(`${page}: a code block is not closed`);
  return blocks;
}

/**
 * @returns the blocks of one page and language as one program, since later samples of a page continue earlier ones. An
 * import that an earlier sample has already is left out.
 */
export function joinSamples(blocks: readonly CodeBlock[]): string {
  const seen = new Set<string>();
  return blocks
    .flatMap(({ code }) => code.split('\n'))
    .filter((line) => {
      if (!/^import .* from '.*';$/.test(line)) return true;
      if (seen.has(line)) return false;
      seen.add(line);
      return true;
    })
    .join('\n');
}
