// The event monitor, and the feed of events that the page of a session shows.

import { API, get, query } from './api.js';
import { button, el, fill, link } from './dom.js';
import { field } from './dialog.js';
import { foreign, fullTime } from './format.js';
import { named, t } from './i18n.js';
import { follow } from './live.js';
import { pager } from './table.js';

const MOST = 300;

// Returns an event as a line that unfolds to its payload.
export function eventLine(event, withSession = true) {
  const { actor } = event;
  return el('li', {}, el('details', {},
    el('summary', {}, el('time', { datetime: new Date(event.timestamp).toISOString() }, fullTime(event.timestamp)), el('b', {}, event.event),
      el('span.dim', {}, named('actor.', actor.kind), actor.id ? [' ', foreign(actor.id)] : null)),
    withSession && event.session
      ? el('p.dim', {}, t('event.session'), ' ', link('/ui/sessions/' + encodeURIComponent(event.session), foreign(event.session))) : null,
    el('p.dim', {}, el('code', {}, event.id)),
    el('pre', { tabindex: '0' }, JSON.stringify(event.payload, null, 2))));
}

// Returns the events of the audit log with filters, newest first; `add` puts a new one on top.
export function eventFeed(filters, signal, withSession = false) {
  const list = el('ul.feed');
  const empty = el('p.dim', { hidden: true }, t('events.none'));
  const pages = pager(async (cursor) => {
    const { data } = await get(`${API}/audit${query({ ...filters, cursor, limit: 25 })}`, { signal });
    fill(list, data.data.map((event) => eventLine(event, withSession)));
    empty.hidden = data.data.length > 0;
    return data.nextCursor;
  });
  pages.refresh();
  return {
    element: el('div', {}, list, empty, pages.element),
    pages,
    add(event) {
      if (!pages.isFirst() || event.stream !== 'session') return;
      list.prepend(eventLine(event, withSession));
      empty.hidden = true;
      if (list.childElementCount > 50) list.lastChild.remove();
    },
  };
}

// The monitor has a connection of its own, with its filters, while the page is open.
export default async function monitor({ content, signal, title }) {
  const asked = new URLSearchParams(location.search);
  const list = el('ul.feed');
  const state = el('p.dim', { role: 'status' });
  let [paused, held, stop] = [false, 0, null];
  const pause = button(t('monitor.pause'), () => {
    paused = !paused;
    fill(pause, t(paused ? 'monitor.resume' : 'monitor.pause'));
    if (!paused) { held = 0; restart(); }
  });
  const form = el('form.filters', { role: 'search', onsubmit: apply, onchange: apply },
    field({ name: 'event', label: t('monitor.kinds'), value: asked.get('event') ?? '', hint: t('monitor.kinds.hint'), autocomplete: 'off', spellcheck: 'false' }),
    field({ name: 'session', label: t('event.session'), value: asked.get('session') ?? '', autocomplete: 'off', spellcheck: 'false', placeholder: 'sess_…' }));
  fill(content, el('div.head', {}, el('h1', {}, t('nav.events')), pause, button(t('monitor.clear'), () => fill(list))),
    el('p.dim', {}, t('monitor.text')), form, state, el('section.card', {}, list));
  title();

  function apply(event) {
    event.preventDefault();
    fill(list);
    restart();
  }

  let last = null;
  function restart() {
    stop?.abort();
    stop = new AbortController();
    const own = AbortSignal.any([signal, stop.signal]);
    const filters = { event: form.elements.event.value.split(/[\s,]+/).filter(Boolean), session: form.elements.session.value.trim() };
    history.replaceState(null, '', location.pathname + query({ event: filters.event.join(','), session: filters.session }));
    follow(filters, own, last, {
      event(event) {
        if (paused) return fill(state, t('monitor.held', { count: ++held }));
        last = event.id;
        list.prepend(eventLine(event));
        if (list.childElementCount > MOST) list.lastChild.remove();
      },
      state: (name) => fill(state, t(name === 'ended' ? 'monitor.refused' : 'live.' + name)),
    });
  }
  restart();
}
