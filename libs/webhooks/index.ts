export { attempt, type AttemptRecord, type Sending } from './attempt.ts';
export { payloadOf } from './payload.ts';
export { createSealer, SealBroken, type Sealer } from './seal.ts';
export { newSigningSecret, secretHint, signatureHeaders } from './sign.ts';
