/** Preloaded into an API: it dies, as if by `kill -9`, when deliveries are made and nobody has been told. */
import { subscribe } from 'node:diagnostics_channel';

subscribe('millrace:facts.stamped', (message) => {
  if ((message as { deliveries: number }).deliveries > 0) process.kill(process.pid, 'SIGKILL');
});
