/** Workspaces, their members, and their API keys. */
import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('users')
export class UserRow {
  @PrimaryColumn('text') id: string;
  @Column('text') email: string;
  @Column('text', { nullable: true }) name: string | null;
  /** argon2id, as a PHC string, which includes its parameters. */
  @Column('text') passwordHash: string;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { nullable: true }) disabledAt: Date | null;
}

@Entity('workspaces')
export class WorkspaceRow {
  @PrimaryColumn('text') id: string;
  @Column('text') name: string;
  /** Its keys may see all workers, and load and unload models. */
  @Column('boolean', { default: false }) operatesInstance: boolean;
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
}

@Entity('memberships')
export class MembershipRow {
  @PrimaryColumn('text') workspaceId: string;
  @PrimaryColumn('text') userId: string;
  @Column('text') role: 'owner' | 'admin' | 'member' | 'viewer';
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
}

@Entity('api_keys')
export class ApiKeyRow {
  @PrimaryColumn('text') id: string;
  @Column('text') workspaceId: string;
  @Column('text', { nullable: true }) createdBy: string | null;
  @Column('text') name: string;
  /** The key's first characters, shown in lists to distinguish keys. */
  @Column('text') prefix: string;
  /** SHA-256 of the whole key. The key itself is not stored. */
  @Column('bytea') hash: Buffer;
  @Column('text', { array: true, default: () => `'{}'` }) scopes: string[];
  @Column('timestamptz', { default: () => 'now()' }) createdAt: Date;
  @Column('timestamptz', { nullable: true }) expiresAt: Date | null;
  @Column('timestamptz', { nullable: true }) lastUsedAt: Date | null;
  @Column('timestamptz', { nullable: true }) revokedAt: Date | null;
}
