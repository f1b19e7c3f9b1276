/**
 * Preloaded into a worker: on SIGUSR2 its threads are sent what none of them understands, and die of the exception. To
 * terminate them would not do: it stops them within the runtime's native part, and that takes the process along.
 */
import type { Worker } from 'node:worker_threads';

const threads = new Set<Worker>();
process.on('worker', (thread) => {
  threads.add(thread);
  thread.once('exit', () => threads.delete(thread));
});
process.on('SIGUSR2', () => {
  process.stdout.write(`${threads.size} threads ended\n`);
  for (const thread of threads) thread.postMessage({ id: 0 });
});
