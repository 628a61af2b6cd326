// Follows the events of the organization. One tab leads and holds the only connection; the other
// tabs hear of events from the leader, because browsers allow six connections to a host.

import { API, Failure, failure, query } from './api.js';
import { sleep } from './dom.js';

// The kinds that lists show. Pages that show messages follow them with a connection of their own.
const KINDS = ['session.*', 'auth.*', 'api_key.*', 'webhook.*', 'link.*'];
// Bookmarks come every 15 seconds; a stream that is silent for longer is broken.
const SILENCE = 45_000;

const channel = 'BroadcastChannel' in self ? new BroadcastChannel('berth.live') : null;
const listeners = new Set();
let state = 'connecting';
let position = null;
let leads = false;

// Calls `listener` with each `{ event }`, with `{ gap: true }` when events may be missing and lists
// must be read anew, and with `{ state }`.
export function onLive(listener, signal) {
  listeners.add(listener);
  signal?.addEventListener('abort', () => listeners.delete(listener), { once: true });
  listener({ state });
}

function hear(message) {
  if (message.state) state = message.state;
  if (message.position) position = message.position;
  listeners.forEach((listener) => listener(message));
}

function tell(message) {
  channel?.postMessage(message);
  hear(message);
}

// Makes all other tabs load anew, after a login, a logout or a switch of the organization.
export function reloadOtherTabs() {
  channel?.postMessage({ reload: true });
}

export function startLive(onReload, follows) {
  channel?.addEventListener('message', ({ data }) => {
    if (data.reload) onReload();
    else if (data.hello) { if (leads) channel.postMessage({ state, position }); } else hear(data);
  });
  channel?.postMessage({ hello: true });
  if (follows) join();
}

// Waits for the lead, and follows the events until the login ends.
export function join() {
  if (leads) return;
  const lead = async () => {
    leads = true;
    await follow({ event: KINDS }, new AbortController().signal, position, {
      event: (event) => tell({ event, position: event.id }),
      position: (id) => tell({ position: id }),
      gap: () => tell({ gap: true }),
      state: (state) => tell({ state }),
    });
    leads = false;
  };
  // The lock passes to another tab when this one closes. Plain http has no locks.
  if (navigator.locks && channel) navigator.locks.request('berth.live', lead);
  else lead();
}

// Follows a stream until `signal` is aborted. After a lost connection, the stream continues after
// the last position; a position that is gone is a gap.
export async function follow(filters, signal, after, hooks) {
  let [last, wait] = [after, 1000];
  const keep = (id) => { last = id; hooks.position?.(id); };
  while (!signal.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const response = await connect({ ...filters, after: last }, attempt.signal);
      hooks.state('live');
      wait = 1000;
      // Events before the connection are in no stream: lists begin anew.
      if (!last) hooks.gap?.();
      await read(response.body.getReader(), stop, keep, (event) => { last = event.id; hooks.event(event); });
    } catch (problem) {
      if (problem.status === 410) last = null;
      if (problem.status === 401 || problem.status === 403 || problem.status === 400) {
        hooks.state('ended');
        return;
      }
      if (problem.retryAfter) wait = problem.retryAfter * 1000;
    }
    signal.removeEventListener('abort', stop);
    if (signal.aborted) return;
    hooks.state('lost');
    await sleep(wait * (0.5 + Math.random()), signal);
    wait = Math.min(wait * 2, 30_000);
  }
}

async function connect(filters, signal) {
  const headers = { accept: 'text/event-stream' };
  const path = `${API}/events${query(filters)}`;
  const response = await fetch(path, { headers, signal, credentials: 'same-origin', cache: 'no-store' })
    .catch((error) => { throw new Failure(0, { code: 'offline', message: String(error) }); });
  if (!response.ok) throw await failure(response);
  return response;
}

// Reads server-sent events: `id` with one line of `data` is an event, `id` alone a bookmark.
async function read(reader, stop, keep, dispatch) {
  const decoder = new TextDecoder();
  let [rest, id, data] = ['', null, null];
  let watchdog = setTimeout(stop, SILENCE);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, SILENCE);
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('id: ')) id = line.slice(4);
        else if (line.startsWith('data: ')) data = line.slice(6);
        else if (line === '' && id) {
          if (data) dispatch(JSON.parse(data));
          else keep(id);
          id = data = null;
        }
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}
