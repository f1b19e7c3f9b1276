import { billionths } from '#domain';

/** Billionths of a US dollar as dollars. */
export const usd = (cost: number | null): number | null => (cost === null ? null : cost / billionths);
