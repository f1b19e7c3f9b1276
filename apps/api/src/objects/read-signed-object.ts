/** Reads the object that a signed URL of the disk storage names. The signature is the only credential. */
import { NotFound } from '#domain';
import { verifySignedUrl, type ObjectStorage } from '#storage';
import type { Content } from '../http/send-content.ts';

export type SignedRequest = Parameters<typeof verifySignedUrl>[1];

/** @throws NotFound, and what the check of the signature throws. */
export type ReadSignedObject = (request: SignedRequest) => Promise<Content>;
export const READ_SIGNED_OBJECT = Symbol('read signed object');

export interface ReadSignedObjectDeps {
  readonly objects: Pick<ObjectStorage, 'head' | 'get'>;
  /** The secret under which URLs were signed. */
  readonly secret: string;
}

export function readSignedObjectWith({ objects, secret }: ReadSignedObjectDeps): ReadSignedObject {
  return async (request) => {
    const { key, contentType, filename } = verifySignedUrl({ secret }, request);
    const found = await objects.head(key);
    if (!found) throw new NotFound('This object is gone.');
    return {
      bytes: found.bytes,
      contentType: contentType ?? found.contentType,
      filename,
      open: async (range, signal) => (await objects.get(key, { ...range, signal })).stream,
    };
  };
}
