/** A process with an API's relay only, which the suite kills, freezes and stops. Its argument is the database URL. */
import { Database, FeedStore, LeaseStore } from '#database';
import { connectBus } from '#realtime';
import { createLogger } from '#telemetry';
import { startRelay } from '../../apps/api/src/live/relay.ts';

const url = process.argv[2]!;
const log = createLogger('relay', 'silent');
const database = await Database.connect({ url, poolMax: 2, applicationName: 'relay-process' });
const bus = await connectBus({ kind: 'postgres', url }, { log });
const relay = startRelay({ feed: new FeedStore(database), leases: new LeaseStore(database), bus, log });

async function stop(): Promise<void> {
  await relay.stop();
  await bus.close();
  await database.close();
}
process.on('SIGTERM', () => void stop());
process.stdout.write('ready\n');
