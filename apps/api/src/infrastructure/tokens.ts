/** Names under which Nest injects what is not a class of ours. */
export const CONFIG = Symbol('config');
export const OBJECTS = Symbol('object store');
export const QUEUES = Symbol('queues');
export const BUS = Symbol('bus');
/** The guarded way out, and the seal of secrets. */
export const WEBHOOK_TOOLS = Symbol('webhooks');
export const LOGGER = Symbol('logger');
export const PROVIDERS = Symbol('providers');
