/** Sends deliveries again: one, the failed ones, or all events of a time; then wakes the senders. */
import type { RedeliverFailedBody, ReplayBody } from '@millrace/contracts';
import type { DeliveryLogStore, ListedDelivery, ReplayResult } from '#database';
import type { Bus } from '#realtime';

/** @throws NotFound; Conflict if the webhook endpoint is disabled. */
export interface Redeliver {
  one(workspaceId: string, endpointId: string, deliveryId: string): Promise<ListedDelivery>;
  /** @returns how many deliveries are sent again. */
  failed(workspaceId: string, endpointId: string, body: RedeliverFailedBody): Promise<number>;
  replay(workspaceId: string, endpointId: string, body: ReplayBody): Promise<ReplayResult>;
}
export const REDELIVER = Symbol('redeliver');

export interface RedeliverDeps {
  readonly deliveries: Pick<DeliveryLogStore, 'redeliver' | 'redeliverFailed' | 'replay'>;
  readonly bus: Pick<Bus, 'publish'>;
}

export function redeliverWith({ deliveries, bus }: RedeliverDeps): Redeliver {
  const wakeSenders = () => void bus.publish('deliveries.due', {});
  return {
    async one(workspaceId, endpointId, deliveryId) {
      const delivery = await deliveries.redeliver(workspaceId, endpointId, deliveryId);
      wakeSenders();
      return delivery;
    },
    async failed(workspaceId, endpointId, body) {
      const count = await deliveries.redeliverFailed(workspaceId, endpointId, body);
      wakeSenders();
      return count;
    },
    async replay(workspaceId, endpointId, body) {
      const result = await deliveries.replay(workspaceId, endpointId, body);
      wakeSenders();
      return result;
    },
  };
}
