/** `npm run upstream -- [--port N] [--misbehaving]`: runs the scripted upstream as a process, for use with a local Millrace. */
import { parseArgs } from 'node:util';
import { misbehaviours } from './misbehaviours/index.ts';
import { ScriptedUpstream } from './server.ts';

const { values } = parseArgs({
  options: { port: { type: 'string', default: '4080' }, misbehaving: { type: 'boolean', default: false } },
});
const upstream = await ScriptedUpstream.start(Number(values.port), values.misbehaving);
console.log(`The scripted upstream listens on ${upstream.url}.

  OPENAI_COMPATIBLE=scripted=${upstream.url}/v1
  HF_ENDPOINT=${upstream.url} HF_ROUTER=${upstream.url} HF_TOKEN=hf_any
  OLLAMA_URL=${upstream.url}

Faults: POST /_script {"path":"/embeddings","status":503,"times":3}. Calls: GET /_calls. Reset: POST /_reset. More: docs/guides/providers.md.`);
if (values.misbehaving) {
  console.log('\nModels that misbehave, as scripted/<name>, ollama/<name> or hf/misbehaving/<name>:');
  for (const { name, source } of misbehaviours) console.log(`  ${name.padEnd(40)}${source}`);
}
