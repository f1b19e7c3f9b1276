/**
 * Preloaded into an API: after SIGUSR2 it kills itself the next time the relay has published events and created their
 * deliveries, before it sends the message about them.
 */
import { subscribe } from 'node:diagnostics_channel';

let isArmed = false;
process.on('SIGUSR2', () => {
  isArmed = true;
});
subscribe('millrace:events.published', (message) => {
  if (isArmed && (message as { deliveries: number }).deliveries > 0) process.kill(process.pid, 'SIGKILL');
});
