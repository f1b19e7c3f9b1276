/**
 * The scripted upstream: the APIs of all providers on one port, with scripted faults and a log of calls. Tests use its
 * object; other processes (`npm run upstream`) use `POST /_script`, `GET /_calls` and `POST /_reset`.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { getField, readBody, errorReply, type Reply, type Route, type UpstreamCall } from './call.ts';
import { Faults, toPythonJson, applyFault, type Fault } from './faults.ts';
import { huggingFace } from './hugging-face.ts';
import { misbehaving } from './misbehaviours/index.ts';
import { ollama, OllamaState } from './ollama.ts';
import { openai } from './openai.ts';
import { queues } from './queues.ts';
import { RenderJobs } from './render-jobs.ts';
import { videos } from './videos.ts';

/** Simulated time of the models. */
export interface Timing {
  readonly callMs: number;
  /** Added for each input of an embeddings call. */
  readonly itemMs: number;
  /** Between two parts of a stream. */
  readonly pieceMs: number;
}

export class ScriptedUpstream {
  readonly calls: UpstreamCall[] = [];
  readonly videos = new RenderJobs('video_');
  readonly predictions = new RenderJobs('run-');
  readonly ollama = new OllamaState();
  timing: Timing = { callMs: 0, itemMs: 0, pieceMs: 0 };
  /** Highest number of concurrent calls by model; of all models under the empty name. */
  readonly peakConcurrency = new Map<string, number>();
  private readonly concurrent = new Map<string, number>();
  private readonly faults = new Faults();
  private readonly server = createServer((request, response) => void this.serve(request, response));
  private readonly routes: readonly Route[] = [
    videos(this.videos),
    openai,
    queues(this.predictions, () => this.url),
    huggingFace,
    ollama(this.ollama),
  ];

  /** @param misbehaves whether models that are named for a misbehaviour answer so. */
  constructor(private readonly misbehaves = false) {}

  static async start(port = 0, misbehaves = false): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(misbehaves);
    upstream.server.listen(port, '127.0.0.1');
    await once(upstream.server, 'listening');
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  script(fault: Fault): void {
    this.faults.script(fault);
  }

  reset(): void {
    this.faults.clear();
    this.calls.length = 0;
    this.peakConcurrency.clear();
    this.videos.all.clear();
    this.predictions.all.clear();
    this.ollama.clear();
    this.timing = { callMs: 0, itemMs: 0, pieceMs: 0 };
  }

  /** Calls whose path contains this. */
  findCalls(path: string, method = 'POST'): UpstreamCall[] {
    return this.calls.filter((call) => call.method === method && call.path.includes(path));
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { pathname, searchParams } = new URL(request.url!, this.url);
      const body = await readBody(request);
      if (pathname.startsWith('/_')) return this.control(pathname, body, response);
      const { method = 'GET', headers } = request;
      const call: UpstreamCall = {
        method,
        path: decodeURIComponent(pathname),
        query: searchParams,
        headers,
        body,
        at: Date.now(),
      };
      this.calls.push(call);
      response.on('close', () => {
        if (!response.writableFinished) call.aborted = true;
      });
      await this.answer(call, response);
    } catch (error) {
      response.destroy(error as Error);
    }
  }

  private control(path: string, body: unknown, response: ServerResponse): void {
    if (path === '/_script') this.script(body as Fault);
    if (path === '/_timing') this.timing = { ...this.timing, ...(body as Timing) };
    if (path === '/_reset') this.reset();
    const calls = this.calls.map(({ method, path: to, at, status, aborted }) => ({
      method,
      path: to,
      at,
      status,
      aborted,
    }));
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify(path === '/_calls' ? calls : {}));
  }

  private async answer(call: UpstreamCall, response: ServerResponse): Promise<void> {
    const fault = this.faults.match(call);
    if (fault?.hang) return;
    if (fault?.reset) return void response.destroy();
    const misbehaved = this.misbehaves ? misbehaving(call) : undefined;
    const found = misbehaved ?? this.routes.map((route) => route(call)).find((reply) => reply !== undefined);
    const reply = found ?? errorReply(404, `nothing is served at ${call.path}`);
    const sent = fault ? applyFault(reply, fault) : reply;
    const { callMs, itemMs } = this.timing;
    const ms = callMs + itemMs * (reply.items ?? 1);
    const ended = this.begun(call);
    if (ms > 0) await wait(ms);
    ended();
    call.status = sent.status ?? 200;
    await this.send(sent, call, response, fault);
  }

  private begun(call: UpstreamCall): () => void {
    const model = getField(call, 'model');
    const names = new Set(['', typeof model === 'string' ? model : '']);
    for (const name of names) {
      const now = (this.concurrent.get(name) ?? 0) + 1;
      this.concurrent.set(name, now);
      this.peakConcurrency.set(name, Math.max(this.peakConcurrency.get(name) ?? 0, now));
    }
    return () => names.forEach((name) => this.concurrent.set(name, this.concurrent.get(name)! - 1));
  }

  private async send(
    reply: Reply,
    call: UpstreamCall,
    response: ServerResponse,
    fault: Fault | null,
  ): Promise<void> {
    const { status = 200, headers = { 'content-type': 'application/json' }, json, bytes, pieces } = reply;
    const type = json === undefined ? {} : { 'content-type': 'application/json' };
    response.writeHead(status, { ...type, ...headers, 'x-request-id': 'req_scripted' });
    const whole = bytes ?? Buffer.from(json === undefined ? '' : toPythonJson(json));
    const parts: readonly (string | Uint8Array)[] = pieces ?? [whole];
    if (fault?.truncate) return this.cutOff(parts, response);
    if (fault?.dripMs !== undefined)
      return this.drip(Buffer.concat(parts.map((part) => Buffer.from(part))), response, fault.dripMs);
    if (!pieces) return void response.end(whole);
    call.piecesAt = [];
    for (const piece of pieces) {
      call.piecesAt.push(performance.now());
      response.write(piece);
      if (this.timing.pieceMs > 0) await wait(this.timing.pieceMs);
    }
    response.end();
  }

  private async cutOff(parts: readonly (string | Uint8Array)[], response: ServerResponse): Promise<void> {
    const half =
      parts.length > 1 ? parts.slice(0, parts.length >> 1) : [parts[0]!.slice(0, parts[0]!.length >> 1)];
    for (const part of half) response.write(part);
    await wait(5);
    response.destroy();
  }

  private async drip(bytes: Buffer, response: ServerResponse, ms: number): Promise<void> {
    for (const byte of bytes) {
      if (response.destroyed) return;
      response.write(Buffer.of(byte));
      await wait(ms);
    }
    response.end();
  }
}
