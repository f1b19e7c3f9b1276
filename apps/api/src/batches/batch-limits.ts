/** Limits of batches, from the settings. */
export interface BatchLimits {
  readonly lineMaxBytes: number;
  readonly batchMaxLines: number;
}
export const BATCH_LIMITS = Symbol('batch limits');

/** Pending lines that a workspace may have. */
export const MAX_PENDING_LINES = Symbol('max pending lines');
