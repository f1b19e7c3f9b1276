/**
 * A lane is what waits for one provider: its pool and its id. Each lane has queues and slots of its own, so that work
 * that waits for one provider takes no slot that another needs. `_` is in the names of neither.
 */
export const laneOf = (alias: string): string => `${alias}.pool || '_' || ${alias}.provider`;
