/** Options of the S3 storage: the bucket, the credentials, and the time limits. */

export interface S3StorageOptions {
  /** Must exist. The bucket, or `prefix` in it, must not have objects of other programs. */
  readonly bucket: string;
  /** @default AWS */
  readonly endpoint?: string;
  readonly region: string;
  /** Set both or neither. Without them the SDK looks for credentials: environment, profile, role of the machine. */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** Puts the bucket into the path instead of the host name, as most servers other than AWS need. */
  readonly forcePathStyle?: boolean;
  /** Prefix of every key, e.g. `millrace/`, so that one bucket can have several storages. Must end with a slash. */
  readonly prefix?: string;
  /**
   * `when_required` sends the signed SHA-256 and the MD5 of the bytes, which every server accepts. `when_supported`
   * also sends a CRC-32, which AWS stores with the object and some servers reject.
   */
  readonly checksums?: 'when_supported' | 'when_required';
  /** Size of the parts of an upload, at least 8 MiB. One object can have at most 10,000 parts. */
  readonly partBytes?: number;
  /** How often a request is sent at most, including the first time. */
  readonly maxAttempts?: number;
  readonly retryMode?: 'standard' | 'adaptive';
  readonly timeouts?: Partial<S3Timeouts>;
  /** Unfinished uploads older than this, in milliseconds, are removed at start. @default 1 day */
  readonly staleAfterMs?: number;
}

export interface S3Timeouts {
  readonly connectMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** From the end of the request to the first byte of the response. */
  readonly responseMs: number;
}

export const minPartBytes = 8 * 1024 * 1024;
export const maxParts = 10_000;

export const defaults = {
  partBytes: minPartBytes,
  maxAttempts: 4,
  staleAfterMs: 86_400_000,
  timeouts: { connectMs: 3_000, idleMs: 15_000, responseMs: 120_000 },
} as const;
