/**
 * A lane is the path of work to one provider: it has queues and worker slots of its own, so that work that waits for one
 * provider takes no slot that another needs. Its name has the pool and the provider's id; neither contains `_`. The
 * database builds the same name (libs/database/statements/lane.sql.ts).
 */
export const buildLane = (pool: string, provider: string): string => `${pool}_${provider}`;
