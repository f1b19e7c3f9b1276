/**
 * The interface of the object storage, implemented on disk and on S3. An object is usually written once and read many
 * times; replacing one is atomic.
 *
 * Errors come from the tree of `#domain`: `InvalidInput` for an invalid key or range, `NotFound`, `Conflict` for a
 * condition that does not hold, `SegmentDamaged` for an object that does not have its recorded size, and `Unavailable`
 * (507 `storage_full` when there is no space, else 503) for a storage that can't do its work.
 * An abort rejects with the signal's reason; an error of a body is thrown unchanged.
 */
import type { Readable } from 'node:stream';

/** Bytes `start` to `end`, both 0-based and inclusive, as in HTTP. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** `start` defaults to the first byte, `end` to the last one; a larger `end` is clamped. */
export type RangeRequest = Partial<ByteRange>;

export interface PutOptions {
  /**
   * Only checked: a type that does not match the extension of the key is `InvalidInput`. It is not stored, because on
   * disk it would cost a second file and fsync; the extension decides.
   */
  readonly contentType?: string;
  /** `*`: only if no object has this key yet, else `Conflict`. Of concurrent puts exactly one succeeds. */
  readonly ifNoneMatch?: '*';
  /** Only if the object has this etag, else `Conflict`. A key that is written with it must always be written with it. */
  readonly ifMatch?: string;
  readonly signal?: AbortSignal;
}

export interface PutResult {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

export interface ReadOptions extends RangeRequest {
  /** The recorded size of the whole object; another size throws `SegmentDamaged`. */
  readonly expectedBytes?: number;
  readonly signal?: AbortSignal;
}

export interface ObjectInfo {
  readonly key: string;
  /** Size of the whole object. */
  readonly bytes: number;
  /** When it was last written, with a precision of one second. */
  readonly modifiedAt: Date;
  /**
   * Opaque, without quotes. Changes with every put of other bytes (on disk with every put; S3 derives it from the
   * bytes). It is not a checksum, and a copy in another storage has another one.
   */
  readonly etag: string;
}

export interface StoredObject {
  /** Consume or destroy it: it holds a file descriptor or a connection. */
  readonly stream: Readable;
  /** Number of bytes in `stream`. */
  readonly bytes: number;
  /** Size of the whole object. */
  readonly totalBytes: number;
  readonly etag: string;
  readonly contentType: string;
  /** The requested range, clamped to the object; null if no range was requested. */
  readonly range: ByteRange | null;
}

export interface SignOptions {
  readonly method: 'GET' | 'PUT';
  /** Seconds from now, an integer from 1 to 604,800 (one week, the limit of S3). */
  readonly expiresInS: number;
  /** GET: the file name that a browser saves the object under. */
  readonly filename?: string;
  /** GET: the Content-Type of the response. PUT: the Content-Type that the upload must have. */
  readonly contentType?: string;
}

/** An object to compose, with its recorded size. */
export interface ComposeSource {
  readonly key: string;
  readonly bytes: number;
}

export type ObjectBody = Uint8Array | AsyncIterable<Uint8Array>;

export interface ObjectStorage {
  /**
   * Writes a whole object or nothing: no reader sees a part of it, and once this resolves the object survives a power
   * failure. A body that fails, an abort or a full disk leaves nothing. (On S3, after an abort or a lost connection in
   * the last request, the whole object may exist.) Memory use does not depend on the size: less than 1 MiB on disk, a
   * few parts of 8 MiB on S3. A body can be used for one put only; it is closed when the put fails.
   */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<PutResult>;

  /**
   * Opens an object or a range of it. A `start` at or after the end is `InvalidInput` `range_not_satisfiable`, and so
   * is any range of an empty object; the API responds with 416.
   */
  get(key: string, options?: ReadOptions): Promise<StoredObject>;

  /** The same in one buffer, for small objects such as the lines of a chunk. More than 256 MiB is `OverLimit`. */
  read(key: string, options?: ReadOptions): Promise<Buffer>;

  head(key: string): Promise<(ObjectInfo & { readonly contentType: string }) | null>;

  /**
   * Concatenates objects into one. The server copies the bytes where it can. The disk has no such operation, because its
   * segments are read as fast as one file. A source that is missing or does not have its recorded size is `SegmentDamaged`.
   */
  compose?(
    sources: readonly ComposeSource[],
    target: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<PutResult>;

  /** Deletes the objects with these keys; a missing object is not an error. If one key is invalid, none is deleted. */
  delete(keys: readonly string[]): Promise<void>;

  /**
   * Yields all objects whose key starts with `prefix` (a string, not a folder: `a/b` finds `a/bc`), in byte order of
   * the keys, from the first key greater than `after`. Memory use does not depend on their number. An object that
   * exists during the whole listing is yielded exactly once; one that is written or deleted meanwhile may be missing.
   */
  list(prefix: string, options?: { readonly after?: string }): AsyncIterable<ObjectInfo>;

  /** Returns a URL that allows one method on one key until it expires, without other credentials. */
  signedUrl(key: string, options: SignOptions): Promise<string>;

  /** Health check: writes, reads and deletes a small object that no listing shows. Throws when one of these fails. */
  probe(): Promise<void>;

  /**
   * Removes unfinished puts of processes that died: those without a write for more than `olderThanMs`.
   * @returns how many were removed
   */
  cleanUpUnfinished(olderThanMs: number): Promise<number>;

  close(): Promise<void>;
}
