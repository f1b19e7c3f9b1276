/**
 * Preloaded into a worker. On SIGUSR2 it sends its threads a message that they cannot parse, so that they die from the
 * exception. Terminating a thread while it runs native code would end the whole process.
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
