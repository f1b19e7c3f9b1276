/** The provider's thread, with an input that ends it as an exhausted heap or a bug in the runtime would. */
import { parentPort } from 'node:worker_threads';

interface Message {
  readonly job: { readonly type: string; readonly inputs?: readonly unknown[] };
}

parentPort!.on('message', ({ job }: Message) => {
  const isDeadly = (input: unknown) => typeof input === 'string' && input.includes('deadly');
  if (job.type === 'embed' && job.inputs!.some(isDeadly)) process.exit(1);
});
await import('../../../libs/providers/transformers/thread.ts');
