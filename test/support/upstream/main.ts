/** `npm run upstream -- [--port N]`: runs the scripted upstream as a process, for use with a local Millrace. */
import { parseArgs } from 'node:util';
import { ScriptedUpstream } from './server.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '4080' } } });
const upstream = await ScriptedUpstream.start(Number(values.port));
console.log(`The scripted upstream listens on ${upstream.url}.

  OPENAI_COMPATIBLE=scripted=${upstream.url}/v1
  HF_ENDPOINT=${upstream.url} HF_ROUTER=${upstream.url} HF_TOKEN=hf_any
  OLLAMA_URL=${upstream.url}

Faults: POST /_script {"path":"/embeddings","status":503,"times":3}. Calls: GET /_calls. Reset: POST /_reset. More: docs/guides/providers.md.`);
