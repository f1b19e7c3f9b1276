/** What the checker reads: the database, the queue, the object storage, the API, the logs, and what was submitted. */
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
  /** Contents of the queue at several moments of the run. */
  readonly queueSnapshots: readonly QueueSnapshot[];
  /** The output of all processes. */
  readonly logs: () => string;
  /** Uploads that a crash interrupted: each may leave one object without a row. */
  readonly lostUploads?: number;
  /** Expected final status of batches that must not be `completed`, by batch id. */
  readonly ends?: Readonly<Record<string, string>>;
  /** Secrets in addition to the API key, the admin's password and the signing secret. */
  readonly secrets?: readonly string[];
}
