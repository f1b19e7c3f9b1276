export type { Bus, StreamItem, StreamWriter, Unsubscribe } from './bus.ts';
export { Coalescer } from './coalescer.ts';
export { connectBus, type BusBackend, type BusOptions } from './connect-bus.ts';
export {
  type Message as Announcement,
  type MessageTopic as AnnouncementTopic,
  type Update as Signal,
  type UpdateTopic as SignalTopic,
} from './topics.ts';
