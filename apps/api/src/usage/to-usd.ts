import { billionthsPerDollar } from '#domain';

/** Billionths of a US dollar as dollars. */
export const toUsd = (cost: number | null): number | null =>
  cost === null ? null : cost / billionthsPerDollar;
