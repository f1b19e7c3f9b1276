export type { Bus, StreamItem, StreamWriter, Unsubscribe } from './bus.ts';
export { Coalescer } from './coalescer.ts';
export { connectBus, type BusBackend, type BusOptions } from './connect-bus.ts';
export { type Message, type MessageTopic, type Update, type UpdateTopic } from './topics.ts';
