/** A worker process for the suite to kill: prints the id of its job and never finishes it. */
import { connectQueues, startWorkerHost, type BackendAddress } from '#queues';
import { createLogger } from '#telemetry';

const [address, pool] = process.argv.slice(2) as [string, string];
const log = createLogger('stuck-worker', 'silent');
const queues = connectQueues({ backend: JSON.parse(address) as BackendAddress, log });

startWorkerHost({
  queues,
  lane: pool,
  concurrency: { batch: 1 },
  handlers: {
    async batch(_payload, { jobId }) {
      process.stdout.write(`running ${jobId}\n`);
      await new Promise(() => setInterval(() => undefined, 60_000));
    },
  },
  log,
});
