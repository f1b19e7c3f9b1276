/** What an S3 store is told: where the bucket is, who asks, and how long anything may take. */

export interface S3StorageOptions {
  /** Must exist; nobody else's objects live in it, or under `prefix` where that is set. */
  readonly bucket: string;
  /** Unset: AWS itself. */
  readonly endpoint?: string;
  readonly region: string;
  /** Both or neither; unset: what the SDK finds (environment, profile, the machine's role). */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** The bucket in the path, not in the host's name: what most servers but AWS want. */
  readonly forcePathStyle?: boolean;
  /** Begins every key, e.g. `millrace/`; one bucket can so hold several stores. Ends in a slash. */
  readonly prefix?: string;
  /**
   * `when_required`: the signed SHA-256 and the MD5 of what is sent, which every server knows. `when_supported`:
   * CRC-32 beside them, which AWS keeps with the object and some other servers refuse.
   */
  readonly checksums?: 'when_supported' | 'when_required';
  /** Size of an upload's parts, 8 MiB or more. 10,000 of them are the most that one object can have. */
  readonly partBytes?: number;
  /** How often a request is tried, the first time included. */
  readonly maxAttempts?: number;
  readonly retryMode?: 'standard' | 'adaptive';
  /** Milliseconds to connect, without a byte either way, and until an answer begins. */
  readonly timeouts?: Partial<S3Timeouts>;
  /** Age in milliseconds of half-done uploads that are removed at start; a day if unset. */
  readonly staleAfterMs?: number;
}

export interface S3Timeouts {
  readonly connectMs: number;
  readonly idleMs: number;
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
