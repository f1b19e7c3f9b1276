/** Preloaded into an API: it kills itself after the commit of a new batch, before the batch is in the queue. */
import { subscribe } from 'node:diagnostics_channel';

subscribe('millrace:batch.committed', () => process.kill(process.pid, 'SIGKILL'));
