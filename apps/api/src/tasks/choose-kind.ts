/** Kind `auto`: worked out from what the model's provider can do and from the fields that came. */
import { z } from 'zod';
import { kindIds, kindOf, type KindId } from '#catalogue';
import { Failure, InvalidInput } from '#domain';
import type { Providers } from '#providers';

const inputFields = new Map<KindId, ReadonlySet<string>>();

/** @returns the names that a kind's input has; of one that passes others on, those it knows. */
function listInputFields(id: KindId): ReadonlySet<string> {
  let known = inputFields.get(id);
  if (!known) {
    const { properties = {} } = z.toJSONSchema(kindOf(id).input, { io: 'input' });
    inputFields.set(id, (known = new Set(Object.keys(properties))));
  }
  return known;
}

/** @throws InvalidInput `kind_unclear`, naming what it could be; what the provider says where it could be nothing. */
export function chooseKind(
  model: string,
  body: Readonly<Record<string, unknown>>,
  providers: Providers,
): KindId {
  let refusal: unknown;
  const served = kindIds.filter((id) => {
    try {
      providers.route(model, id);
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      refusal = error;
      return false;
    }
  });
  if (served.length === 0) throw refusal;
  const named = Object.keys(body).filter((key) => key !== 'model' && key !== 'metadata');
  const [only] = served;
  if (served.length === 1) return only!;
  const fitting = served.filter(
    (id) => named.every((name) => listInputFields(id).has(name)) && kindOf(id).body.safeParse(body).success,
  );
  if (fitting.length === 1) return fitting[0]!;
  const could = (fitting.length > 0 ? fitting : served).join(', ');
  throw new InvalidInput(
    fitting.length > 0
      ? `This could be any of ${could}. Say which: set 'kind'.`
      : `No kind of task takes these fields with this model. Set 'kind' to one of ${could} to be told what is wrong.`,
    { code: 'kind_unclear', param: 'kind' },
  );
}
