// The gateway nodes, for the operator of the platform.

import { API, get } from './api.js';
import { button, el, fill } from './dom.js';
import { ago, badge, foreign, number } from './format.js';
import { t } from './i18n.js';
import { pager, row, skeleton, table } from './table.js';

export default async function gateways({ content, signal, title }) {
  const heads = ['id', 'state', 'sessions', 'capacity', 'version', 'lastHeartbeatAt'].map((name) => t('gateway.' + name));
  const list = table(t('nav.admin.gateways'), heads);
  const empty = el('div.empty', { hidden: true }, el('h2', {}, t('gateways.empty')), el('p', {}, t('gateways.empty.text')));
  const pages = pager(async (cursor) => {
    const { data } = await get(`${API}/admin/gateways${cursor ? '?cursor=' + encodeURIComponent(cursor) : ''}`, { signal });
    fill(list.body, data.data.map((node) => row(heads, [foreign(node.id), badge(node.up ? 'good' : 'bad', t(node.up ? 'gateway.up' : 'gateway.down')),
      number(node.sessions), number(node.capacity), foreign(node.version), ago(node.lastHeartbeatAt)])));
    empty.hidden = data.data.length > 0;
    list.element.hidden = !empty.hidden;
    return data.nextCursor;
  });
  fill(content, el('div.head', {}, el('h1', {}, t('nav.admin.gateways')), button(t('refresh'), () => pages.refresh())), list.element, empty, pages.element);
  fill(list.body, skeleton(3, 6));
  title();
  await pages.start();
}
