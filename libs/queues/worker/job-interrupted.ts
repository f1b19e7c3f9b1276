/** Why a running job's signal was aborted; a handler finds one as `signal.reason`. */

export type InterruptReason =
  /** `cancel` named it. */
  | 'canceled'
  /** Its lock is gone, so another worker may be running it already. */
  | 'lock_lost'
  /** The process is leaving and its deadline has passed: hand the work back. */
  | 'draining';

export class JobInterrupted extends Error {
  readonly reason: InterruptReason;
  constructor(why: InterruptReason) {
    super(`the job was interrupted: ${why}`);
    this.name = 'Interrupted';
    this.reason = why;
  }
}
