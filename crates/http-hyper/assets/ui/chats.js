// The chats of a session: the list, one conversation, and a field to send a text.

import { API, at, can, get, post, query } from './api.js';
import { button, el, fill, link } from './dom.js';
import { field, formDialog, notify } from './dialog.js';
import { foreign, fullTime, sessionName, shortTime } from './format.js';
import { named, t } from './i18n.js';
import { follow } from './live.js';
import { navigate } from './app.js';
import { conversation } from './conversation.js';

export default async function chats(view, id, chat) {
  if (!id) return choose(view);
  const { content, signal, title } = view;
  const path = (...more) => at('sessions', id, ...more);
  const list = el('ul.chat-list', { 'aria-label': t('nav.chats') });
  const talk = el('section.talk');
  const frame = el('div.chats' + (chat ? '.open' : ''), {}, list, talk);
  const heading = el('h1', {}, t('nav.chats'));
  fill(content, el('p', {}, link('/ui/chats', '← ', t('chats.sessions'))),
    el('div.head', {}, heading, can.has('send') ? button(t('chats.new'), newChat, '.primary') : null), frame);
  title();
  if (can.manage()) {
    get(path(), { signal }).then(({ data }) => fill(heading, t('nav.chats'), ' · ', foreign(sessionName(data)))).catch(() => {});
  }
  let next = null;
  const more = button(t('older'), () => read(next), '.small');
  const talking = chat ? conversation(talk, id, chat, signal) : fill(talk, el('p.empty', {}, t('chats.choose')));

  async function read(cursor) {
    const { data } = await get(path('chats') + query({ cursor, limit: 50 }), { signal });
    const items = data.data.map(chatItem);
    next = data.nextCursor;
    if (cursor) more.parentNode.replaceWith(...items);
    else fill(list, items.length ? items : el('li.empty', {}, t('chats.empty')));
    if (next) list.append(el('li', {}, more));
  }

  function chatItem(it) {
    const last = it.lastMessage;
    return el('li', {}, el('a', { href: `/ui/chats/${encodeURIComponent(id)}/${it.id}`, 'aria-current': String(it.id) === chat ? 'true' : null },
      el('strong', {}, chatName(it)), el('time.dim', { datetime: it.lastMessageAt ? new Date(it.lastMessageAt).toISOString() : null, title: it.lastMessageAt ? fullTime(it.lastMessageAt) : null }, it.lastMessageAt ? shortTime(it.lastMessageAt) : ''),
      el('span.dim', {}, last ? [last.direction === 'out' ? t('chats.you') + ' ' : '', foreign(last.body ?? named('message.', last.type))] : null),
      it.unreadCount ? el('span.unread', {}, el('span', { 'aria-hidden': 'true' }, String(it.unreadCount)), el('span.hidden', {}, t('chats.unread', { count: it.unreadCount }))) : null));
  }

  function newChat() {
    formDialog({
      title: t('chats.new'),
      submit: t('send'),
      fields: [{ name: 'to', label: t('chats.to'), inputmode: 'tel', autocomplete: 'off', hint: t('link.code.hint') }, { name: 'text', label: t('chats.text'), type: 'textarea' }],
      valid: (typed) => typed.to.trim() && typed.text.trim(),
      run: ({ to, text }, key) => post(path('messages') + '?async', { to: to.replace(/[\s()\-]/g, ''), type: 'text', text }, { key }),
      done({ data }) { notify(t('chats.queued')); navigate(`/ui/chats/${encodeURIComponent(id)}/${data.chatId}`); },
    });
  }

  // Messages have a connection of their own, while the page is open.
  let waiting = null;
  const reread = () => { waiting ??= setTimeout(() => { waiting = null; if (!signal.aborted) read().catch(() => {}); }, 500); };
  follow({ session: [id], event: ['message.*', 'chat.*'] }, signal, null, {
    event(event) { reread(); talking.changed?.(event); },
    gap() { reread(); talking.changed?.(null); },
    state: (state) => talking.state?.(state),
  });
  await read();
}

export function chatName(chat) {
  return foreign(chat.name ?? (chat.phone ? '+' + chat.phone : chat.lid ?? chat.jid));
}

// Offers the sessions whose chats the caller may read. A caller without `manage` cannot list
// sessions, and names one.
async function choose({ content, signal, title }) {
  const list = el('ul.feed');
  const form = el('form.filters', { onsubmit(event) {
    event.preventDefault();
    const id = form.elements.session.value.trim();
    if (id) navigate('/ui/chats/' + encodeURIComponent(id));
  } }, field({ name: 'session', label: t('event.session'), placeholder: 'sess_…', autocomplete: 'off', spellcheck: 'false' }), el('button.primary', { type: 'submit' }, t('open')));
  fill(content, el('div.head', {}, el('h1', {}, t('nav.chats'))), el('p.dim', {}, t('chats.choose.session')), can.manage() ? el('section.card', {}, list) : form);
  title();
  if (!can.manage()) return;
  const { data } = await get(`${API}/sessions?limit=200`, { signal });
  const linked = data.data.filter((session) => session.phoneNumber);
  fill(list, linked.map((session) => el('li', {}, link('/ui/chats/' + encodeURIComponent(session.id), foreign(sessionName(session))), ' ', el('span.dim', {}, '+' + session.phoneNumber))));
  if (!linked.length) fill(list, el('li', {}, t('chats.none.linked')));
}

