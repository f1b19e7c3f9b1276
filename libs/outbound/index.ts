export { allowedHosts, type UrlPolicy } from './destination.ts';
export {
  createOutbound,
  OutboundFailure,
  type Outbound,
  type OutboundAnswer,
  type OutboundRequest,
} from './outbound.ts';
