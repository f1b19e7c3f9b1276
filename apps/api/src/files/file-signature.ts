/** Detects the format of a file from its first bytes. Its name is only a claim. */
import { InvalidInput } from '#domain';

/** Bytes that the checks below look at. */
export const signatureBytes = 6;

const startsWith = (head: Uint8Array, ...bytes: readonly number[]) =>
  bytes.every((byte, at) => head[at] === byte);

export const isGzip = (head: Uint8Array): boolean => startsWith(head, 0x1f, 0x8b, 0x08);

const otherFormats: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ['a ZIP archive (or a spreadsheet)', [0x50, 0x4b, 0x03, 0x04]],
  ['a zstd file', [0x28, 0xb5, 0x2f, 0xfd]],
  ['a bzip2 file', [0x42, 0x5a, 0x68]],
  ['an xz file', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['a Parquet file', [0x50, 0x41, 0x52, 0x31]],
];

/** @throws InvalidInput `invalid_file_format` for the archives and binary files that are uploaded as JSONL by mistake. */
export function assertText(head: Uint8Array): void {
  const [name] = otherFormats.find(([, bytes]) => startsWith(head, ...bytes)) ?? [];
  if (!name) return;
  throw new InvalidInput(
    `The file is ${name}, not JSONL. Upload the lines as .jsonl, or compressed with gzip.`,
    {
      code: 'invalid_file_format',
      param: 'file',
    },
  );
}
