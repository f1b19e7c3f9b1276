/** All misbehaviours, and the route that answers with them by the name of the model. */
import { getField, type Route } from '../call.ts';
import type { Misbehaviour } from './behaviour.ts';
import { chats } from './chats.ts';
import { errors } from './errors.ts';
import { others } from './others.ts';

export const misbehaviours: readonly Misbehaviour[] = [...chats, ...errors, ...others];

/** A model is named in the body, or in the path as a segment: runs that are polled have their model's name as id. */
export const misbehaving: Route = (call) => {
  const model = getField(call, 'model');
  const named = typeof model === 'string' ? model.replace(/:latest$/, '').split('/') : [];
  const names = [...named, ...call.path.split('/')];
  const found = misbehaviours.find(({ name, path }) => names.includes(name) && path.test(call.path));
  return found?.answer(call);
};
