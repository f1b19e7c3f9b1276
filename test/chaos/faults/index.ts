import type { Fault } from '../fault.ts';
import { apiKill } from './api-kill.ts';
import { checkerProof } from './checker-proof.ts';
import { direct } from './direct.ts';
import { fenceProof } from './fence-proof.ts';
import { paidLines } from './paid-lines.ts';
import { postgresStop } from './postgres-stop.ts';
import { redisFlush } from './redis-flush.ts';
import { redisRestart } from './redis-restart.ts';
import { storm } from './storm.ts';
import { supervisorKill } from './supervisor-kill.ts';
import { twoDispatchers } from './two-dispatchers.ts';
import { videoKill } from './video-kill.ts';
import { workerFreeze } from './worker-freeze.ts';
import { workerKill } from './worker-kill.ts';
import { webhookApiKill } from './webhook-api-kill.ts';
import { webhookDays } from './webhook-days.ts';
import { webhookReceivers } from './webhook-receivers.ts';
import { webhookRedisOutage } from './webhook-redis-outage.ts';
import { webhookRelayKill } from './webhook-relay-kill.ts';
import { workerTerm } from './worker-term.ts';

/** Every fault, in the order of `all`. */
export const faults: readonly Fault[] = [
  checkerProof,
  workerKill,
  fenceProof,
  workerFreeze,
  workerTerm,
  paidLines,
  supervisorKill,
  apiKill,
  twoDispatchers,
  postgresStop,
  redisRestart,
  redisFlush,
  direct,
  videoKill,
  webhookApiKill,
  webhookRelayKill,
  webhookRedisOutage,
  webhookReceivers,
  webhookDays,
  storm,
];
