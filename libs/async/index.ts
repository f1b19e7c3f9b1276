/** Time limits and abortable waits. A leaf: it imports nothing of ours, and every other folder may import it. */
export { onAbort, raceAbort, waitForAbort } from './on-abort.ts';
export { sleep, sleepOrAbort } from './sleep.ts';
export { startTimeLimit, TimeoutError, waitAtMost, withTimeout, type TimeLimit } from './timeout.ts';
