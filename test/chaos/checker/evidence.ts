/** All that the checker is given: where the database, the queue and the store are, and what was submitted. */
import type { StoredObjects } from '../../support/stored-objects.ts';
import type { Submitted } from '../scene.ts';
import type { Truth } from '../truth.ts';
import type { QueueAddress, QueueLook } from './queue.ts';

export interface Evidence {
  readonly truth: Truth;
  readonly url: string;
  readonly apiKey: string;
  /** The data folder. */
  readonly home: string;
  readonly objects: StoredObjects;
  readonly queue: QueueAddress;
  readonly batches: readonly Submitted[];
  /** What the queue held during the run. */
  readonly looks: readonly QueueLook[];
  /** Everything that the processes have printed. */
  readonly logs: () => string;
  /** Uploads that ended in a crash: as many whole objects may lie in the store without a file's row. */
  readonly lostUploads?: number;
  /** How a batch must have ended where it is not `completed`. */
  readonly ends?: Readonly<Record<string, string>>;
  /** Secrets beside the API key, the admin's password and the signing secret. */
  readonly secrets?: readonly string[];
}
