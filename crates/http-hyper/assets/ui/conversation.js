// One conversation: messages with their statuses, older ones on request, and the field to write.

import { at, can, explain, get, post, query } from './api.js';
import { announce, button, el, fill } from './dom.js';
import { keyOf } from './dialog.js';
import { foreign, fullTime, phone, shortTime } from './format.js';
import { named, t } from './i18n.js';
import { chatName } from './chats.js';

// Shapes of the statuses of sent messages, in addition to their names.
const MARKS = { queued: '◔', sent: '✓', delivered: '✓✓', read: '✓✓', played: '✓✓', failed: '✕', cancelled: '✕' };

// Shows a chat in `place`. Returns `changed(event)`, which reads again what an event is about.
export function conversation(place, session, chat, signal) {
  const path = (...more) => at('sessions', session, ...more);
  const title = el('h2', { tabindex: '-1' });
  const lines = el('ol.lines', { tabindex: '0', 'aria-label': t('chats.messages') });
  const shown = new Map();
  const state = el('span.dim');
  let [next, sender] = [null, null];
  const older = button(t('older'), () => read(next), '.small');
  fill(place, el('header', {}, el('a.button', { href: `/ui/chats/${encodeURIComponent(session)}`, 'aria-label': t('back') }, '←'), title, state), lines, can.has('send') ? writer() : null);
  open();

  async function open() {
    try {
      const { data } = await get(path('chats', chat), { signal });
      sender = data;
      fill(title, chatName(data), data.phone && data.name ? [' ', el('small.dim', {}, phone(data.phone))] : null);
      await read(null);
      markRead(data);
    } catch (failure) {
      if (!signal.aborted) fill(lines, el('li.fault', { role: 'alert' }, failure.status === 404 ? t('missing.title') : explain(failure)));
    }
  }

  // Marks the chat as read here. The partner learns nothing of it.
  function markRead(data) {
    if (!can.has('send') || !data.unreadCount || document.hidden) return;
    post(path('chats', chat, 'read'), { receipts: false }).catch(() => {});
  }

  async function read(cursor) {
    const { data } = await get(path('chats', chat, 'messages') + query({ cursor, limit: 50 }), { signal });
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 60;
    for (const message of data.data) {
      const line = messageLine(message);
      const old = shown.get(message.id);
      if (old) old.replaceWith(line);
      shown.set(message.id, line);
    }
    if (cursor || !next) next = data.nextCursor;
    // By the time at WhatsApp, then by the order of arrival, as the list of the API.
    const ordered = [...shown.entries()].sort(([a, x], [b, y]) => x.dataset.at - y.dataset.at || a - b);
    const before = lines.scrollHeight;
    fill(lines, next ? el('li', {}, older) : null, ordered.map(([, line]) => line), shown.size ? null : el('li.dim', {}, t('chats.no.messages')));
    if (cursor) lines.scrollTop += lines.scrollHeight - before;
    else if (atEnd || before <= lines.clientHeight) lines.scrollTop = lines.scrollHeight;
  }

  function messageLine(message) {
    const isOut = message.direction === 'out';
    const text = message.deleted ? null : message.body ?? message.caption;
    const line = el('li.line' + (isOut ? '.out' : ''), {},
      !isOut && message.senderName && sender?.type === 'group' ? el('strong', {}, foreign(message.senderName), '\n') : null,
      text === null || text === undefined ? el('em.dim', {}, message.undecryptable ? t('message.waiting') : named('message.', message.deleted ? 'deleted' : message.type)) : foreign(text),
      el('small' + (message.error && message.status === 'failed' ? '.bad' : ''), {},
        el('time', { datetime: new Date(message.timestamp).toISOString(), title: fullTime(message.timestamp) }, shortTime(message.timestamp)), message.edited ? ' · ' + t('message.edited') : null,
        isOut ? [' · ', el('span', { 'aria-hidden': 'true' }, MARKS[message.status] ?? ''), ' ', named('message.status.', message.status), message.error ? ': ' + named('message.error.', message.error.code) : null] : null));
    line.dataset.at = message.timestamp;
    return line;
  }

  function writer() {
    const keys = keyOf();
    const text = el('textarea', { rows: 1, 'aria-label': t('chats.text'), placeholder: t('chats.text'), name: 'text', onkeydown(event) {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    } });
    const fault = el('p.fault', { role: 'alert', hidden: true });
    const submit = el('button.primary', { type: 'submit' }, t('send'));
    const form = el('form.write', { async onsubmit(event) {
      event.preventDefault();
      if (!text.value.trim() || submit.getAttribute('aria-busy')) return;
      submit.setAttribute('aria-busy', 'true');
      fault.hidden = true;
      const body = { to: chat, type: 'text', text: text.value };
      try {
        await post(path('messages') + '?async', body, { key: keys.for(body) });
        // The text leaves the field when berth has accepted it, not before.
        keys.settle(null);
        if (text.value === body.text) text.value = '';
        await read(null);
        lines.scrollTop = lines.scrollHeight;
      } catch (failure) {
        keys.settle(failure);
        fill(fault, explain(failure)).hidden = false;
      }
      submit.removeAttribute('aria-busy');
      text.focus();
    } }, text, submit, fault);
    return form;
  }

  let timer = null;
  return {
    changed(event) {
      if (event?.event === 'message' && event.payload.fromMe === false && String(event.payload.chatId) === chat) announce(t('chats.arrived'));
      timer ??= setTimeout(() => { timer = null; if (!signal.aborted) read(null).catch(() => {}); }, 300);
    },
    state: (name) => fill(state, name === 'live' ? '' : t('live.' + name)),
  };
}
