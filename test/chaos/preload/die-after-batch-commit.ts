/** Preloaded into an API: it dies, as if by `kill -9`, between the commit of a new batch and its way into the queue. */
import { subscribe } from 'node:diagnostics_channel';

subscribe('millrace:batch.committed', () => process.kill(process.pid, 'SIGKILL'));
