/** Builds the body of a webhook. It has little data: the receiver reads the rest from the API, which checks access. */

/** Largest body, in bytes. */
export const maxPayloadBytes = 20_000;

export interface WebhookEvent {
  readonly id: string;
  readonly type: string;
  readonly createdAt: Date;
  readonly data: { readonly id: string } & Readonly<Record<string, unknown>>;
}

/** Returns the same text for every attempt, since the text is signed. Data that would exceed the limit is reduced to its id. */
export function buildPayload({ id, type, createdAt, data }: WebhookEvent): string {
  const toBody = (included: object) =>
    JSON.stringify({
      id,
      object: 'event',
      created_at: Math.floor(createdAt.getTime() / 1_000),
      type,
      data: included,
    });
  const body = toBody(data);
  return Buffer.byteLength(body) <= maxPayloadBytes ? body : toBody({ id: data.id });
}
