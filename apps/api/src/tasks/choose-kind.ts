/** Resolves kind `auto`: from the kinds that the model's provider serves and the fields of the request. */
import { z } from 'zod';
import { kindIds, findKind, parseKindBody, type KindId } from '#catalogue';
import { Failure, InvalidInput } from '#domain';
import type { Providers } from '#providers';

const inputFields = new Map<KindId, ReadonlySet<string>>();

/** @returns the field names that a kind's input declares, also if the kind accepts other fields. */
function listInputFields(id: KindId): ReadonlySet<string> {
  let names = inputFields.get(id);
  if (!names) {
    const { properties = {} } = z.toJSONSchema(findKind(id).input, { io: 'input' });
    inputFields.set(id, (names = new Set(Object.keys(properties))));
  }
  return names;
}

/** @throws InvalidInput `ambiguous_kind` with the possible kinds; the provider's error if it serves none for this model. */
export function chooseKind(
  workspaceId: string,
  model: string,
  body: Readonly<Record<string, unknown>>,
  providers: Providers,
): KindId {
  const served = listServedKinds(workspaceId, model, providers);
  const [only] = served;
  if (served.length === 1) return only!;
  const names = Object.keys(body).filter((key) => key !== 'model' && key !== 'metadata');
  const matching = served.filter(
    (id) => names.every((name) => listInputFields(id).has(name)) && parseKindBody(findKind(id), body).success,
  );
  if (matching.length === 1) return matching[0]!;
  const candidates = (matching.length > 0 ? matching : served).join(', ');
  throw new InvalidInput(
    matching.length > 0
      ? `The request matches several kinds: ${candidates}. Set 'kind'.`
      : `No kind of this model accepts these fields. Set 'kind' to one of ${candidates} to see what is wrong.`,
    { code: 'ambiguous_kind', param: 'kind' },
  );
}

/** @throws the provider's error if the model serves no kind. */
function listServedKinds(workspaceId: string, model: string, providers: Providers): KindId[] {
  let failure: unknown;
  const served = kindIds.filter((id) => {
    try {
      providers.route(model, id, { workspaceId });
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failure = error;
      return false;
    }
  });
  if (served.length === 0) throw failure;
  return served;
}
