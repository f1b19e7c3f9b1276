/** All that the checker is given: where the database, the queue and the store are, and what was submitted. */
import type { StoredObjects } from '../../support/stored-objects.ts';
import type { Submitted } from '../deployment.ts';
import type { DatabaseReader } from '../database-reader.ts';
import type { QueueAddress, QueueSnapshot } from './queue.ts';

export interface CheckContext {
  readonly database: DatabaseReader;
  readonly url: string;
  readonly apiKey: string;
  /** The data folder. */
  readonly home: string;
  readonly objects: StoredObjects;
  readonly queue: QueueAddress;
  readonly batches: readonly Submitted[];
  /** What the queue held during the run. */
  readonly queueSnapshots: readonly QueueSnapshot[];
  /** Everything that the processes have printed. */
  readonly logs: () => string;
  /** Uploads that ended in a crash: as many whole objects may lie in the store without a file's row. */
  readonly lostUploads?: number;
  /** How a batch must have ended where it is not `completed`. */
  readonly ends?: Readonly<Record<string, string>>;
  /** Secrets beside the API key, the admin's password and the signing secret. */
  readonly secrets?: readonly string[];
}
