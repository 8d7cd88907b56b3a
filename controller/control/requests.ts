/** The orders as they come in from outside, checked before anything is done. */
import { asBoolean, asList, asNumber, asOneOf, asText, fieldsOf, orNull, type Placed } from '../json-shape.ts';
import type { Controls } from './controls.ts';

export type Request =
  | { readonly order: 'admit'; readonly container: string; readonly veth: string; readonly initPid: number }
  | { readonly order: 'release'; readonly container: string; readonly veth: string }
  | { readonly order: 'apply'; readonly confirmSeconds: number | null; readonly by: string }
  | { readonly order: 'confirm' }
  | { readonly order: 'panic'; readonly on: boolean; readonly containers: readonly string[]; readonly by: string }
  | { readonly order: 'rollback'; readonly to: number | null; readonly by: string };

/** @throws ShapeError */
export function parseRequest(top: Placed): Request {
  const field = fieldsOf(top);
  const order = asOneOf(field('order'), ['admit', 'release', 'apply', 'confirm', 'rollback', 'panic'] as const);
  const named = () => ({ container: asText(field('container')), veth: asText(field('veth')) });
  switch (order) {
    case 'admit':
      return { order, ...named(), initPid: asNumber(field('initPid')) };
    case 'release':
      return { order, ...named() };
    case 'apply':
      return { order, confirmSeconds: orNull(field('confirmSeconds'), asNumber), by: asText(field('by')) };
    case 'confirm':
      return { order };
    case 'panic':
      return {
        ...{ order, on: asBoolean(field('on')), by: asText(field('by')) },
        containers: asList(field('containers')).map(asText),
      };
    case 'rollback':
      return { order, to: orNull(field('to'), asNumber), by: asText(field('by')) };
  }
}

/** @throws OrderRefused, Error where the pass failed, or who asks may not start */
export async function answerRequest(controls: Controls, request: Request): Promise<unknown> {
  switch (request.order) {
    case 'admit':
      return await controls.admit(request);
    case 'release':
      return await controls.release(request.container, request.veth);
    case 'apply':
      return await controls.apply(request.confirmSeconds ?? undefined, request.by);
    case 'confirm':
      return await controls.confirm();
    case 'panic':
      return await controls.panic(request.on, request.containers, request.by);
    case 'rollback':
      return await controls.rollback(request.to ?? undefined, request.by);
  }
}
