/** Why a running job's signal was aborted. A handler finds it as `signal.reason`. */

export type InterruptReason =
  /** `cancel` matched the job. */
  | 'canceled'
  /** The job's lock expired, so another worker may be running the job already. */
  | 'lock_lost'
  /** The process shuts down and its deadline has passed: release the work. */
  | 'draining';

export class JobInterrupted extends Error {
  readonly reason: InterruptReason;
  constructor(reason: InterruptReason) {
    super(`the job was interrupted: ${reason}`);
    this.name = 'JobInterrupted';
    this.reason = reason;
  }
}
