/**
 * Preloaded into an API: told by SIGUSR2, it dies, as if by `kill -9`, the next time that deliveries are made and
 * nobody has been told.
 */
import { subscribe } from 'node:diagnostics_channel';

let isArmed = false;
process.on('SIGUSR2', () => {
  isArmed = true;
});
subscribe('millrace:events.published', (message) => {
  if (isArmed && (message as { deliveries: number }).deliveries > 0) process.kill(process.pid, 'SIGKILL');
});
