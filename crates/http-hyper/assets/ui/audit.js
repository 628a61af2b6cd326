// The audit log: who did what, newest first.

import { el, fill } from './dom.js';
import { field } from './dialog.js';
import { eventFeed } from './events.js';
import { t } from './i18n.js';
import { onLive } from './live.js';
import { query } from './api.js';

const KINDS = ['session.created', 'session.requested', 'session.status', 'session.updated', 'session.deleted', 'session.retired', 'auth.paired', 'auth.expired',
  'api_key.created', 'api_key.revoked', 'webhook.created', 'webhook.updated', 'webhook.deleted', 'webhook.disabled', 'link.created', 'link.opened', 'link.used', 'link.revoked'];

export default async function audit({ content, signal, title }) {
  const asked = new URLSearchParams(location.search);
  const filters = { event: asked.get('event') ?? '', sessionId: asked.get('sessionId') ?? '' };
  const feed = eventFeed(filters, signal, true);
  const form = el('form.filters', { role: 'search', onsubmit: apply, onchange: apply },
    field({ name: 'event', label: t('event.kind'), type: 'select', value: filters.event, options: [['', t('filter.all')], ...KINDS.map((kind) => [kind, kind])] }),
    field({ name: 'sessionId', label: t('event.session'), value: filters.sessionId, autocomplete: 'off', spellcheck: 'false', placeholder: 'sess_…' }));
  fill(content, el('div.head', {}, el('h1', {}, t('nav.audit'))), el('p.dim', {}, t('audit.text')), form, el('section.card', {}, feed.element));
  title();
  function apply(event) {
    event.preventDefault();
    filters.event = form.elements.event.value;
    filters.sessionId = form.elements.sessionId.value.trim();
    history.replaceState(null, '', location.pathname + query(filters));
    feed.pages.restart();
  }
  onLive(({ event, gap }) => {
    if (gap) return feed.pages.refresh();
    const matches = event && (!filters.event || event.event === filters.event) && (!filters.sessionId || event.session === filters.sessionId);
    if (matches) feed.add(event);
  }, signal);
}
