/** The orders as they come in from outside, checked before anything is done. */
import { asNumber, asObject, asOneOf, asText, at, orNull, type Placed } from '../json-shape.ts';
import type { Controls } from './controls.ts';

export type Request =
  | { readonly order: 'apply'; readonly confirmSeconds: number | null; readonly by: string }
  | { readonly order: 'confirm' }
  | { readonly order: 'rollback'; readonly to: number | null; readonly by: string };

/** @throws ShapeError */
export function parseRequest(top: Placed): Request {
  const object = asObject(top);
  const field = (key: string): Placed => at(object, key, '');
  const order = asOneOf(field('order'), ['apply', 'confirm', 'rollback'] as const);
  switch (order) {
    case 'apply':
      return { order, confirmSeconds: orNull(field('confirmSeconds'), asNumber), by: asText(field('by')) };
    case 'confirm':
      return { order };
    case 'rollback':
      return { order, to: orNull(field('to'), asNumber), by: asText(field('by')) };
  }
}

/** @throws OrderRefused, Error where the pass failed */
export async function answerRequest(controls: Controls, request: Request): Promise<unknown> {
  switch (request.order) {
    case 'apply':
      return await controls.apply(request.confirmSeconds ?? undefined, request.by);
    case 'confirm':
      return await controls.confirm();
    case 'rollback':
      return await controls.rollback(request.to ?? undefined, request.by);
  }
}
