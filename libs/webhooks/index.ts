export {
  sendAttempt as attempt,
  type WebhookAttemptRecord as AttemptRecord,
  type AttemptDeps as Sending,
} from './send-attempt.ts';
export { buildPayload as payloadOf } from './build-payload.ts';
export { createSealer, UnsealFailed as SealBroken, type Sealer } from './seal-secret.ts';
export {
  createSigningSecret as newSigningSecret,
  buildSecretHint as secretHint,
  buildSignatureHeaders as signatureHeaders,
} from './sign-webhook.ts';
