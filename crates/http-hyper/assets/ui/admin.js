// The sessions of all organizations, for the operator of the platform. The list is read-only.

import { API, get, query } from './api.js';
import { el, fill } from './dom.js';
import { field } from './dialog.js';
import { ago, foreign, phone, reason, sessionName, statusBadge } from './format.js';
import { named, t } from './i18n.js';
import { pager, row, skeleton, table } from './table.js';

const FILTERS = ['organizationId', 'status', 'gatewayId', 'phoneNumber'];

export default async function admin({ content, signal, title }) {
  const asked = new URLSearchParams(location.search);
  const filters = Object.fromEntries(FILTERS.map((name) => [name, asked.get(name) ?? '']));
  const heads = ['label', 'organizationId', 'status', 'phoneNumber', 'gatewayId', 'lastConnectedAt'].map((name) => t('session.' + name));
  const list = table(t('nav.admin.sessions'), heads);
  const empty = el('div.empty', { hidden: true }, el('h2', {}, t('sessions.none')), el('p', {}, t('sessions.none.text')));
  const pages = pager(async (cursor) => {
    const { data } = await get(`${API}/admin/sessions${query({ ...filters, cursor })}`, { signal });
    fill(list.body, data.data.map((session) => row(heads, [[foreign(sessionName(session)), el('span.reason', {}, el('code', {}, session.id))], foreign(session.organizationId),
      [statusBadge(session), reason(session)], phone(session.phoneNumber), foreign(session.gatewayId, '.number'), ago(session.lastConnectedAt)])));
    empty.hidden = data.data.length > 0;
    list.element.hidden = !empty.hidden;
    return data.nextCursor;
  });
  const options = ['working', 'scan_qr_code', 'starting', 'failed', 'stopped'].map((status) => [status, named('status.', status)]);
  const form = el('form.filters', { role: 'search', onsubmit: apply, onchange: apply }, FILTERS.map((name) => field(name === 'status'
    ? { name, label: t('session.status'), type: 'select', options: [['', t('filter.all')], ...options], value: filters.status }
    : { name, label: t('session.' + name), value: filters[name], type: 'search', autocomplete: 'off' })));
  function apply(event) {
    event.preventDefault();
    for (const name of FILTERS) filters[name] = form.elements[name].value.trim();
    history.replaceState(null, '', location.pathname + query(filters));
    pages.restart();
  }
  fill(content, el('div.head', {}, el('h1', {}, t('nav.admin.sessions'))), form, list.element, empty, pages.element);
  fill(list.body, skeleton(8, 6));
  title();
  await pages.start();
}
