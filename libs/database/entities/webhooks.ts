/** Webhook endpoints, deliveries to them, and every attempt at a delivery. */
import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('webhook_endpoints')
export class WebhookEndpointRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') name: string;
  @Column('text') url: string;
  @Column('text', { array: true }) eventTypes: string[];
  @Column('bytea') secretSealed: Buffer;
  @Column('text', { nullable: true }) secretHint: string | null;
  @Column('bytea', { nullable: true }) oldSecretSealed: Buffer | null;
  @Column('timestamptz', { nullable: true }) oldSecretUntil: Date | null;
  @Column('text', { array: true, default: () => `'{}'` }) headerNames: string[];
  @Column('bytea', { nullable: true }) headersSealed: Buffer | null;
  @Column('jsonb', { nullable: true }) metadataFilter: Record<string, string> | null;
  @Column('text', { nullable: true }) ordered: 'subject' | 'feed' | null;
  /** Deliveries per second. The token bucket holds one second's deliveries; `rateTokens` remained at `rateUpdatedAt`. */
  @Column('int', { nullable: true }) rateLimit: number | null;
  @Column('double precision', { default: 0 }) rateTokens: number;
  @Column('timestamptz', { nullable: true }) rateUpdatedAt: Date | null;
  /** The task or batch whose events it gets. Null: all events of the workspace. */
  @Column('text', { nullable: true }) subject: string | null;
  /** Sequence of its last event. */
  @Column('int', { default: 0 }) sequence: number;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { default: () => 'now()' }) updatedAt: Date;
  @Column('timestamptz', { nullable: true }) disabledAt: Date | null;
  @Column('text', { nullable: true }) disabledReason: 'gone' | 'failing' | 'request' | null;
  @Column('int', { default: 0 }) consecutiveFailures: number;
  @Column('timestamptz', { nullable: true }) failingSince: Date | null;
  @Column('timestamptz', { nullable: true }) lastFailedAt: Date | null;
  /** Nothing is sent until then: its breaker is open, or the receiver asked for a pause. */
  @Column('timestamptz', { nullable: true }) pausedUntil: Date | null;
}

@Entity('deliveries')
export class DeliveryRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text') endpointId: string;
  @Column('text') eventId: string;
  @Column('text', { default: '' }) subject: string;
  /** Of its event. */
  @Column('bigint', { default: 0 }) feedPosition: number;
  @Column('text', { default: 'pending' }) status: 'pending' | 'succeeded' | 'failed';
  @Column('int', { default: 0 }) attemptCount: number;
  /** Step in the retry schedule: attempts since it was created or last redelivered. */
  @Column('int', { default: 0 }) scheduleStep: number;
  @Column('timestamptz', { nullable: true }) nextAttemptAt: Date | null;
  /** The process that is sending it, and until when no other process may. */
  @Column('text', { nullable: true }) leasedBy: string | null;
  @Column('timestamptz', { nullable: true }) leasedUntil: Date | null;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { nullable: true }) finishedAt: Date | null;
  @Column('text', { nullable: true }) errorCode: string | null;
}

@Entity('delivery_attempts')
export class DeliveryAttemptRow {
  @PrimaryColumn('text') deliveryId: string;
  @PrimaryColumn('int') number: number;
  @Column('text') workspaceId: string;
  @Column('timestamptz') startedAt: Date;
  @Column('int') durationMs: number;
  @Column('text') url: string;
  @Column('jsonb') requestHeaders: Record<string, string>;
  @Column('int', { nullable: true }) status: number | null;
  @Column('jsonb', { nullable: true }) responseHeaders: Record<string, string> | null;
  @Column('text', { nullable: true }) responseBody: string | null;
  @Column('boolean', { default: false }) responseTruncated: boolean;
  @Column('text', { nullable: true }) errorCode: string | null;
  @Column('text', { nullable: true }) errorMessage: string | null;
  @Column('timestamptz', { nullable: true }) nextAttemptAt: Date | null;
}
