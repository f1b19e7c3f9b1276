export { sendAttempt, type WebhookAttemptRecord, type AttemptDeps } from './send-attempt.ts';
export { buildPayload } from './build-payload.ts';
export { createSealer, UnsealFailed, type Sealer } from './seal-secret.ts';
export { createSigningSecret, buildSecretHint, buildSignatureHeaders } from './sign-webhook.ts';
