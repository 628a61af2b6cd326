// Requests to the API of the page's own origin, with its errors, entity tags and clock.

import { t } from './i18n.js';

// The difference between the clock of the server and the clock of this computer, in milliseconds.
let clockOffset = 0;

export function serverNow() {
  return Date.now() + clockOffset;
}

// An answer that is an error, or a request that got no answer (`code` is `offline`).
export class Failure extends Error {
  constructor(status, error, headers) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.details = error.details ?? {};
    this.requestId = headers?.get('x-request-id') ?? null;
    const seconds = Number(headers?.get('retry-after'));
    this.retryAfter = seconds > 0 ? seconds : null;
  }
}

// Returns the sentence that explains a failure to the user.
export function explain(failure) {
  if (!(failure instanceof Failure)) return t('error.unexpected', { message: failure?.message });
  const parameters = { message: failure.message, seconds: failure.retryAfter ?? 5, id: failure.requestId, status: failure.status };
  if (['offline', 'no_service', 'forbidden', 'rate_limited', 'unavailable', 'internal', 'not_implemented', 'precondition_failed'].includes(failure.code)) {
    return t('error.' + failure.code, parameters);
  }
  const faults = (failure.details.fields ?? []).map((fault) => `${fault.pointer ?? fault.parameter}: ${fault.reason}`);
  return [failure.message, ...faults].join('. ');
}

const listeners = new Set();

// Calls `listener` when a request is refused because the login has ended.
export function onSignedOut(listener) {
  listeners.add(listener);
}

// Sends a request. `key` is an idempotency key, so that a repetition has no second effect.
// Returns `{ data, etag, response }`; an answer 304 has no data.
export async function request(method, path, { body, key, ifMatch, ifNoneMatch, accept, signal, patch } = {}) {
  const headers = new Headers();
  if (body !== undefined) headers.set('content-type', patch ? 'application/merge-patch+json' : 'application/json');
  if (key) headers.set('idempotency-key', key);
  if (ifMatch) headers.set('if-match', ifMatch);
  if (ifNoneMatch) headers.set('if-none-match', ifNoneMatch);
  if (accept) headers.set('accept', accept);
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, credentials: 'same-origin', cache: 'no-store', redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, { code: 'offline', message: String(error.message) });
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  // The header has whole seconds: on average, half a second is missing.
  if (date) clockOffset = date + 500 - Date.now();
  if (!response.ok && response.status !== 304) throw await failure(response);
  const json = response.headers.get('content-type')?.startsWith('application/json');
  const data = json && response.status !== 304 ? await response.json() : null;
  return { data, etag: response.headers.get('etag'), response };
}

export async function failure(response) {
  const json = await response.json().catch(() => null);
  // A proxy in front of the service answers without the form of an error.
  const unknown = { code: response.status > 501 ? 'no_service' : 'internal', message: response.statusText };
  const problem = new Failure(response.status, json?.error ?? unknown, response.headers);
  if (response.status === 401 && response.url.includes('/api/v1/')) listeners.forEach((listener) => listener());
  return problem;
}

export const get = (path, options) => request('GET', path, options);
export const post = (path, body, options) => request('POST', path, { body, ...options });
export const patch = (path, body, ifMatch, options) =>
  request('PATCH', path, { body, ifMatch, patch: true, ...options });
export const remove = (path, options) => request('DELETE', path, options);

export const API = '/api/v1';

// Returns the path of an object; ids may be hostile text.
export function at(...parts) {
  return API + parts.map((part) => part.startsWith(':') ? part : '/' + encodeURIComponent(part)).join('');
}

// Returns a query of the parameters that have a value.
export function query(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((it) => [name, it]));
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== null && value !== undefined && value !== ''));
  return text.size ? '?' + text : '';
}

// Returns a new idempotency key: one for each dialog or draft, so that a double click is one act.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

let me;

// Returns the caller. The buttons of the pages follow its capabilities.
export async function whoami(again) {
  if (!me || again) me = (await get(API + '/whoami')).data;
  return me;
}

// Asks whether the server has share links; their buttons show if it has.
export async function findShareLinks() {
  sharing = await request('OPTIONS', '/link/state').then(() => true, () => false);
}

let sharing = false;

export const can = {
  has: (capability) => Boolean(me?.organizationId) && me.capabilities.includes(capability),
  any: () => Boolean(me?.organizationId && me.capabilities.length),
  manage: () => can.has('manage'),
  manageAll: () => can.has('manage') && !me.sessions,
  share: () => sharing && can.manage(),
  operate: () => me?.platformRole === 'super_admin',
};
