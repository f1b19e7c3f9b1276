import { createId, type EventType } from '@millrace/contracts';
import type { Transaction } from '../transaction.ts';

export interface NewEvent {
  readonly workspaceId: string;
  readonly subject: string;
  /** Taken from the subject's row, under its lock. */
  readonly sequence: number;
  readonly type: EventType;
  readonly terminal: boolean;
  readonly data: { readonly id: string } & Record<string, unknown>;
}

/** Appends an event in the transaction of the change that it reports. The relay publishes it after the commit. */
export async function appendEvent(transaction: Transaction, event: NewEvent): Promise<void> {
  await transaction.execute(
    `insert into events (id, workspace_id, subject, sequence, type, terminal, data) values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      createId('event'),
      event.workspaceId,
      event.subject,
      event.sequence,
      event.type,
      event.terminal,
      JSON.stringify(event.data),
    ],
  );
}
