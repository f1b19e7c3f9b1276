/** Reads the content of a file, whole or a range of it, from its segments. */
import type { FileStore } from '#database';
import { Conflict } from '#domain';
import { readSegments, type ObjectStorage } from '#storage';
import type { Content } from '../http/send-content.ts';

/** @throws NotFound; Conflict `file_not_processed` */
export type ReadFileContent = (workspaceId: string, id: string) => Promise<Content>;
export const READ_FILE_CONTENT = Symbol('read file content');

export interface ReadFileContentDeps {
  readonly files: Pick<FileStore, 'get' | 'listSegments'>;
  readonly objects: ObjectStorage;
}

export function readFileContentWith({ files, objects }: ReadFileContentDeps): ReadFileContent {
  return async (workspaceId, id) => {
    const { status, bytes, filename } = await files.get(workspaceId, id);
    if (status !== 'processed') {
      throw new Conflict(`This file is ${status}. Its content can be read once it is processed.`, {
        code: 'file_not_processed',
      });
    }
    const segments = await files.listSegments(workspaceId, id);
    return {
      bytes,
      contentType: chooseContentType(filename),
      filename,
      open: (range, signal) => readSegments(objects, segments, { ...range, signal }),
    };
  };
}

/** Only JSONL has a type of its own: a browser must save any other upload and never show it. */
function chooseContentType(filename: string): string {
  if (/\.jsonl$/i.test(filename)) return 'application/jsonl';
  return /\.jsonl\.gz$/i.test(filename) ? 'application/gzip' : 'application/octet-stream';
}
