export type { Bus, StreamItem, StreamWriter, Unsubscribe } from './bus.ts';
export { Coalescer } from './coalescer.ts';
export { connectBus, type BusBackend, type BusOptions } from './connect.ts';
export { type Announcement, type AnnouncementTopic, type Signal, type SignalTopic } from './topics.ts';
