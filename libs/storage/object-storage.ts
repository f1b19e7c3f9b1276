/**
 * The object store's interface: what disk and S3 both promise, and what everything that keeps bytes stands on.
 * Objects are immutable in use: a key is written once and read many times; replacing one is atomic.
 *
 * Errors come from the tree of `#domain`: `InvalidInput` for a bad key or range, `NotFound`, `Conflict` for a
 * condition that does not hold, `SegmentDamaged` for an object that is not the size its record says, and
 * `Unavailable` (507 `storage_full` when there is no room, else 503) for a store that can't do its work.
 * An abort rejects with the signal's own reason; an error of a body passes through as it is.
 */
import type { Readable } from 'node:stream';

/** Bytes `start` to `end`, both counted from 0 and both included, as HTTP counts them. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A range as asked for: `start` defaults to the first byte, `end` to the last; an `end` beyond it is clamped. */
export type RangeRequest = Partial<ByteRange>;

export interface PutOptions {
  /**
   * The MIME type, for a caller that wants it checked: a store keeps none beside the object (on disk it would
   * cost a second file and fsync), the key's extension decides. Another type than that is `InvalidInput`.
   */
  readonly contentType?: string;
  /** `*`: only if nothing has this key yet, else `Conflict`. Of many at once exactly one wins. */
  readonly ifNoneMatch?: '*';
  /** Only if the object there has this etag, else `Conflict`. Keys written so are always to be written so. */
  readonly ifMatch?: string;
  readonly signal?: AbortSignal;
}

export interface PutResult {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

export interface ReadOptions extends RangeRequest {
  /** The whole object's size as its record says; a store that holds another throws `SegmentDamaged`. */
  readonly expectedBytes?: number;
  readonly signal?: AbortSignal;
}

export interface ObjectInfo {
  readonly key: string;
  /** Size of the whole object. */
  readonly bytes: number;
  /** When it was last written, to be trusted to the second. */
  readonly modifiedAt: Date;
  /**
   * Opaque, without quotes; another after every put of other bytes (on disk after every put; S3 makes it from the
   * bytes). Not to be taken for a checksum, and not kept by a copy to another store.
   */
  readonly etag: string;
}

export interface StoredObject {
  /** To be consumed or destroyed: it holds a descriptor or a connection. */
  readonly stream: Readable;
  /** Bytes that `stream` gives. */
  readonly bytes: number;
  /** Bytes of the whole object. */
  readonly totalBytes: number;
  readonly etag: string;
  readonly contentType: string;
  /** What was asked for, clamped to the object; null when the whole was. */
  readonly range: ByteRange | null;
}

export interface SignOptions {
  readonly method: 'GET' | 'PUT';
  /** Whole seconds from now, 1 to 604,800 (a week, S3's own limit). */
  readonly expiresInS: number;
  /** GET: the name that a browser saves it under. */
  readonly filename?: string;
  /** GET: the type to answer with. PUT: the type that the upload must say. */
  readonly contentType?: string;
}

/** An object to be composed, with its size by the record. */
export interface ComposeSource {
  readonly key: string;
  readonly bytes: number;
}

export type ObjectBody = Uint8Array | AsyncIterable<Uint8Array>;

export interface ObjectStorage {
  /**
   * Writes an object whole or not at all: no reader ever sees half of one, and when this resolves it survives a
   * power cut. A body that fails, an abort or a full disk leaves nothing (on S3, an abort or a lost connection at
   * the very end may find the object written, whole). Buffers a few MiB whatever the size: on disk under one, on
   * S3 a few parts of 8. A body is read from its start by one put only; it is destroyed when the put fails.
   */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<PutResult>;

  /**
   * Opens an object or a range of it. A `start` at or past the end is `InvalidInput` `range_not_satisfiable`
   * (so is any range of an empty object); the wire answers that with 416.
   */
  get(key: string, options?: ReadOptions): Promise<StoredObject>;

  /** The same, in one buffer: the way for what is small (a chunk's lines). More than 256 MiB is `OverLimit`. */
  read(key: string, options?: ReadOptions): Promise<Buffer>;

  head(key: string): Promise<(ObjectInfo & { readonly contentType: string }) | null>;

  /**
   * Makes one object of many, in their order, without their bytes passing through here as far as the store can do
   * that itself; only where it can. A source that is missing, or not of its recorded size, is `SegmentDamaged`.
   */
  compose?(
    sources: readonly ComposeSource[],
    target: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<PutResult>;

  /** Deletes what is there of these keys; what is not there is no error. A bad key stops it before any is. */
  delete(keys: readonly string[]): Promise<void>;

  /**
   * All objects whose key starts with `prefix` (text, not a folder: `a/b` finds `a/bc`), in the order of their
   * keys' bytes, from the first key greater than `after`. Memory stays flat. An object that is there throughout
   * comes exactly once; one written or deleted meanwhile may or may not.
   */
  list(prefix: string, options?: { readonly after?: string }): AsyncIterable<ObjectInfo>;

  /** An address that lets its bearer do one thing to one key until it expires, with no other credentials. */
  signedUrl(key: string, options: SignOptions): Promise<string>;

  /** Health: really writes, reads and removes a small object that no listing shows; throws when it can't. */
  probe(): Promise<void>;

  /**
   * Removes what puts of dead processes have left half-written, once nothing was added to it for that long.
   * @returns how many it were
   */
  cleanUpUnfinished(olderThanMs: number): Promise<number>;

  close(): Promise<void>;
}
