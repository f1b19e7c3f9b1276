/** Preloaded into an API: it kills itself after the commit of a direct request, before the task is in the queue. */
import { subscribe } from 'node:diagnostics_channel';

subscribe('millrace:task.committed', () => process.kill(process.pid, 'SIGKILL'));
