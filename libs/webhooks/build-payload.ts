/** An event as its receivers get it: thin, so that what it is about is read where access is checked. */

/** Bytes of a body, at most. */
export const maxPayloadBytes = 20_000;

export interface WebhookEvent {
  readonly id: string;
  readonly type: string;
  readonly createdAt: Date;
  readonly data: { readonly id: string } & Readonly<Record<string, unknown>>;
}

/** @returns the same text for every try, so that it is signed as it is shown. Data that would be too long is its id alone. */
export function buildPayload({ id, type, createdAt, data }: WebhookEvent): string {
  const bodyWith = (shown: object) =>
    JSON.stringify({
      id,
      object: 'event',
      created_at: Math.floor(createdAt.getTime() / 1_000),
      type,
      data: shown,
    });
  const body = bodyWith(data);
  return Buffer.byteLength(body) <= maxPayloadBytes ? body : bodyWith({ id: data.id });
}
