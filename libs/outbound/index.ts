export { parseAllowedHosts, RefusedUrl, type UrlPolicy } from './destination.ts';
export {
  createOutbound,
  OutboundFailure,
  type Outbound,
  type OutboundResponse,
  type OutboundRequest,
} from './outbound.ts';
