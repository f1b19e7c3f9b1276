export { parseAllowedHosts as allowedHosts, type UrlPolicy } from './destination.ts';
export {
  createOutbound,
  OutboundFailure,
  type Outbound,
  type OutboundResponse as OutboundAnswer,
  type OutboundRequest,
} from './outbound.ts';
