/** Deliveries over TLS: the address is pinned, and the certificate is checked against the host name. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { parseAllowedHosts, createOutbound, type Outbound } from '#outbound';
import { createCertificate } from '../../support/certificate.ts';
import { eventually } from '../../support/eventually.ts';
import { openWebhookHarness, type WebhookHarness } from './webhook-harness.ts';

const defaultCertificates = getCACertificates('default');
const [trustedCertificate, unknownCertificate] = [
  createCertificate('hook.example'),
  createCertificate('unknown-issuer.example'),
];
const names = ['hook.example', 'other.example', 'unknown-issuer.example', '127.0.0.1'];

let harness: WebhookHarness;
let server: Server;
let outbound: Outbound;
const requests: { name: string | false | null; host: string | undefined }[] = [];

beforeAll(async () => {
  setDefaultCACertificates([...defaultCertificates, trustedCertificate.cert]);
  server = createServer(trustedCertificate, (request, response) => {
    requests.push({
      name: (request.socket as { servername?: string }).servername ?? null,
      host: request.headers.host,
    });
    response.end();
  });
  server.addContext('unknown-issuer.example', unknownCertificate);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  harness = await openWebhookHarness();
  outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: parseAllowedHosts(names),
    resolveAllowed: async () => ['127.0.0.1'],
  });
});
afterAll(async () => {
  await harness?.close();
  await outbound?.close();
  server?.close();
  setDefaultCACertificates(defaultCertificates);
});

test('a certificate for the host name is accepted; one for another name or of an unknown issuer is refused', async () => {
  const { port } = server.address() as AddressInfo;
  const endpoints = await Promise.all(
    names.map((name) => harness.createEndpoint(`https://${name}:${port}/`)),
  );
  harness.startRelay();
  harness.startSender({ outbound, timeoutMs: 15_000 });
  await harness.commitEvent();
  const getFirstAttempt = async (id: string) => {
    const [delivery] = await harness.listDeliveries(id);
    if (!delivery || delivery.attemptCount === 0) return null;
    return (await harness.deliveryLog.get(harness.workspaceId, id, delivery.id)).attempts[0]!;
  };
  const listFirstAttempts = () => Promise.all(endpoints.map(({ id }) => getFirstAttempt(id)));
  await eventually('an attempt of each', async () =>
    (await listFirstAttempts()).every((attempt) => attempt !== null),
  );
  expect((await listFirstAttempts()).map((attempt) => [attempt!.status, attempt!.errorCode])).toEqual([
    [200, null],
    [null, 'tls_failed'],
    [null, 'tls_failed'],
    [null, 'tls_failed'],
  ]);
  expect(requests).toEqual([{ name: 'hook.example', host: `hook.example:${port}` }]);
});
