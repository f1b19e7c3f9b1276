/**
 * `millrace listen`: a workspace's events on the developer's own machine, before there is an address that the API
 * could call. They come over the socket, and go to a local server signed as webhooks are.
 */
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { matchesEventType, type ClientToServer, type Fact, type ServerToClient } from '@millrace/contracts';
import { newSigningSecret, payloadOf, signatureHeaders } from '#webhooks';
import { createForwardLog, type ForwardResult } from './forward-log.ts';
import { findCredentials } from './credentials.ts';
import { UsageError } from './usage-error.ts';

export const listenUsage =
  'millrace listen --forward-to http://localhost:4000/hook [--events batch.*,task.succeeded] [--after POSITION]' +
  ' [--secret whsec_…] [--url http://127.0.0.1:3000] [--key mr_…]';

/** As long as the API waits for an answer. */
const answerMs = 15_000;
/** Events under way to the local server at once; others wait their turn, in order. */
const atOnce = 8;

export async function listen(args: string[]): Promise<void> {
  const given = parse(args);
  const { url, apiKey } = findCredentials(given);
  const answers = createForwardLog(process.stdout);
  const waiting: Fact[] = [];
  let underWay = 0;
  const goOn = () => {
    while (underWay < atOnce && waiting.length > 0) {
      underWay++;
      void forward(waiting.shift()!, given)
        .then((answer) => answers.show(answer))
        .finally(() => {
          underWay--;
          goOn();
        });
    }
  };

  const socket: Socket<ServerToClient, ClientToServer> = io(url, { auth: { apiKey } });
  let position = given.after;
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('connect_error', (error) => {
      // Socket.IO goes on trying by itself, but for a refusal.
      if (!socket.active) reject(new UsageError(`${url} refuses: ${error.message}`));
      else answers.note(`${url} does not answer; trying again …`);
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const subscribe = () => {
    socket.emit('subscribe', { workspace: true, after: position }, (answer) => {
      if (answer.ok) {
        if ('position' in answer) position = Math.max(position ?? 0, answer.position);
        answers.note(`Listening at ${url}, at event ${position}; signed with ${given.secret}`);
      } else if (answer.error.code === 'feed_expired') {
        answers.note(`${answer.error.message} Listening from now on.`);
        position = undefined;
        subscribe();
      } else {
        answers.note(`${url}: ${answer.error.message}`);
      }
    });
  };
  socket.on('connect', subscribe);
  socket.on('disconnect', () =>
    answers.note('The connection is gone; what is missed comes when it is back.'),
  );
  socket.on('fact', (fact) => {
    position = fact.position;
    if (!given.events.some((pattern) => matchesEventType(pattern, fact.type))) return;
    waiting.push(fact);
    goOn();
  });
  try {
    await ended;
  } finally {
    socket.disconnect();
    answers.end();
  }
}

interface Listening {
  readonly forwardTo: string;
  readonly events: readonly string[];
  readonly secret: string;
  readonly after: number | undefined;
  readonly url?: string;
  readonly key?: string;
}

/** @throws Unusable */
function parse(args: string[]): Listening {
  const values = optionsOf(args);
  const { 'forward-to': forwardTo, events = '*', secret = newSigningSecret(), after, url, key } = values;
  if (forwardTo === undefined || !/^https?:$/.test(URL.parse(forwardTo)?.protocol ?? '')) {
    throw new UsageError(`Say where to: --forward-to with an http or https address.\n  ${listenUsage}`);
  }
  if (after !== undefined && !/^\d{1,15}$/.test(after))
    throw new UsageError('--after is a position: a whole number.');
  if (!secret.startsWith('whsec_'))
    throw new UsageError('--secret is a signing secret: it begins with whsec_.');
  return {
    forwardTo,
    events: events.split(','),
    secret,
    after: after === undefined ? undefined : Number(after),
    ...(url !== undefined && { url }),
    ...(key !== undefined && { key }),
  };
}

function optionsOf(args: string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args,
      options: { 'forward-to': text, events: text, secret: text, after: text, url: text, key: text },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n  ${listenUsage}`);
  }
}

/** One try: what a local server refuses is seen at once, and can be asked for again by `--after`. */
async function forward(fact: Fact, { forwardTo, secret }: Listening): Promise<ForwardResult> {
  const { id, type, data } = fact;
  const body = payloadOf({ id, type, createdAt: new Date(fact.created_at * 1_000), data });
  const headers = signatureHeaders({ id, at: new Date(), body, secrets: [secret] });
  const began = performance.now();
  const answered = (answer: string, isSuccess: boolean): ForwardResult => {
    return {
      position: fact.position,
      type,
      subject: fact.subject,
      answer,
      isSuccess,
      ms: performance.now() - began,
    };
  };
  try {
    const response = await fetch(forwardTo, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'millrace-listen', ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(answerMs),
    });
    await response.body?.cancel();
    return answered(String(response.status), response.ok);
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: { code?: string } };
    return answered(name === 'TimeoutError' ? 'no answer' : (cause?.code ?? message), false);
  }
}
