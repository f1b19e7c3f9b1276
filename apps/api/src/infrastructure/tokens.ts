/** Injection tokens of what is not a class of ours; `InfrastructureModule` provides them. */
export const CONFIG = Symbol('config');
export const LOGGER = Symbol('logger');
export const OBJECTS = Symbol('objects');
export const QUEUES = Symbol('queues');
export const BUS = Symbol('bus');
export const PROVIDERS = Symbol('providers');
/** Sends to webhook endpoints, and seals their secrets. */
export const WEBHOOK_TOOLS = Symbol('webhook tools');
