/** Deliveries over TLS: the address is pinned, and still the certificate has to be for the name. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { parseAllowedHosts, createOutbound, type Outbound } from '#outbound';
import { createCertificate } from '../../support/certificate.ts';
import { eventually } from '../../support/eventually.ts';
import { openWebhookHarness, type WebhookHarness } from './webhook-harness.ts';

const trusted = getCACertificates('default');
const [known, unknown] = [createCertificate('hook.example'), createCertificate('stranger.example')];
const names = ['hook.example', 'other.example', 'stranger.example', '127.0.0.1'];

let office: WebhookHarness;
let server: Server;
let outbound: Outbound;
const asked: { name: string | false | null; host: string | undefined }[] = [];

beforeAll(async () => {
  setDefaultCACertificates([...trusted, known.cert]);
  server = createServer(known, (request, response) => {
    asked.push({
      name: (request.socket as { servername?: string }).servername ?? null,
      host: request.headers.host,
    });
    response.end();
  });
  server.addContext('stranger.example', unknown);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  office = await openWebhookHarness();
  outbound = createOutbound({
    schemes: ['https'],
    ports: [443],
    allowHosts: parseAllowedHosts(names),
    resolveAllowed: async () => ['127.0.0.1'],
  });
});
afterAll(async () => {
  await office?.close();
  await outbound?.close();
  server?.close();
  setDefaultCACertificates(trusted);
});

test('a certificate for the name is taken; one for another name, or of nobody’s, is refused', async () => {
  const { port } = server.address() as AddressInfo;
  const endpoints = await Promise.all(names.map((name) => office.endpoint(`https://${name}:${port}/`)));
  office.startRelay();
  office.startSender({ outbound, timeoutMs: 15_000 });
  await office.fact();
  const firstOf = async (id: string) => {
    const [delivery] = await office.deliveriesOf(id);
    if (!delivery || delivery.attemptCount === 0) return null;
    return (await office.deliveryLog.get(office.workspaceId, id, delivery.id)).attempts[0]!;
  };
  const tried = () => Promise.all(endpoints.map(({ id }) => firstOf(id)));
  await eventually('all have been tried', async () => (await tried()).every((one) => one !== null));
  expect((await tried()).map((one) => [one!.status, one!.errorCode])).toEqual([
    [200, null],
    [null, 'tls_failed'],
    [null, 'tls_failed'],
    [null, 'tls_failed'],
  ]);
  expect(asked).toEqual([{ name: 'hook.example', host: `hook.example:${port}` }]);
});
