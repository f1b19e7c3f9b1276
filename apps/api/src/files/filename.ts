/** What a file's name says about its content, and which names are accepted. */
import { isStoredText } from '@millrace/contracts';
import { InvalidInput } from '#domain';

export const isJsonLines = (filename: string) => /\.jsonl(\.gz)?$/i.test(filename);

/** Only JSONL is expanded: any other file is stored as it was sent. */
export const isCompressed = (filename: string) => /\.jsonl\.gz$/i.test(filename);

/** A compressed file is stored expanded, under its name without `.gz`. */
export const expandedFilename = (filename: string) =>
  isCompressed(filename) ? filename.slice(0, -3) : filename;

/** @throws InvalidInput */
export function assertFilename(filename: string, purpose: unknown, param = 'file'): void {
  if (purpose === 'batch' && !isJsonLines(filename)) {
    throw new InvalidInput('Invalid file format for Batch API. Must be .jsonl', {
      code: 'invalid_file_format',
      param,
    });
  }
  if (!isStoredText(filename, 1, 255)) {
    throw new InvalidInput('The file needs a name of 1 to 255 characters, without NUL or lone surrogates.', {
      param,
    });
  }
}
