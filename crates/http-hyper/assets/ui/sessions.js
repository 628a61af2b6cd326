// The sessions of the organization: a table that follows the events.

import { API, at, can, get, newKey, post, query, remove } from './api.js';
import { announce, button, el, fill, link, openMenu } from './dom.js';
import { act, field, formDialog, notify } from './dialog.js';
import { ago, foreign, phone, reason, sessionName, statusBadge } from './format.js';
import { named, t } from './i18n.js';
import { onLive } from './live.js';
import { navigate } from './app.js';
import { pager, skeleton, table } from './table.js';

const STATUSES = ['working', 'scan_qr_code', 'starting', 'failed', 'stopped'];
const FILTERS = ['status', 'label', 'phoneNumber'];

export default async function sessions({ content, signal, title }) {
  const asked = new URLSearchParams(location.search);
  const filters = Object.fromEntries(FILTERS.map((name) => [name, asked.get(name) ?? '']));
  const rows = new Map();
  const columns = ['label', 'status', 'phoneNumber', 'gatewayId', 'lastConnectedAt'].map((name) => t('session.' + name));
  const list = table(t('sessions.title'), [...columns, '']);
  const empty = el('div.empty', { hidden: true });
  const pages = pager((cursor) => load(cursor));
  fill(content,
    el('div.head', {}, el('h1', {}, t('sessions.title')),
      can.manageAll() ? button(t('sessions.new'), create, '.primary') : null),
    filterForm(), list.element, empty, pages.element);
  fill(list.body, skeleton(6, 6));
  title();

  async function load(cursor) {
    const { data } = await get(`${API}/sessions${query({ ...filters, cursor })}`, { signal });
    rows.clear();
    fill(list.body, data.data.map((session) => {
      const row = sessionRow(session);
      rows.set(session.id, row);
      return row.element;
    }));
    const filtered = FILTERS.some((name) => filters[name]);
    empty.hidden = data.data.length > 0;
    list.element.hidden = !empty.hidden;
    if (!empty.hidden) {
      fill(empty, el('h2', {}, t(filtered ? 'sessions.none' : 'sessions.empty')),
        el('p', {}, t(filtered ? 'sessions.none.text' : 'sessions.empty.text')),
        !filtered && can.manageAll() ? button(t('sessions.new'), create, '.primary') : null);
    }
    return data.nextCursor;
  }

  function filterForm() {
    const options = [['', t('filter.all')], ...STATUSES.map((status) => [status, named('status.', status)])];
    const form = el('form.filters', { role: 'search', onsubmit: apply, onchange: apply },
      field({ name: 'status', label: t('session.status'), type: 'select', options, value: filters.status }),
      field({ name: 'label', label: t('session.label'), value: filters.label, type: 'search', autocomplete: 'off', placeholder: t('filter.exact') }),
      field({ name: 'phoneNumber', label: t('session.phoneNumber'), value: filters.phoneNumber, type: 'search', inputmode: 'tel', autocomplete: 'off' }));
    function apply(event) {
      event.preventDefault();
      for (const name of FILTERS) filters[name] = form.elements[name].value.trim();
      filters.phoneNumber = filters.phoneNumber.replace(/\D/g, '');
      history.replaceState(null, '', location.pathname + query(filters));
      pages.restart();
    }
    return form;
  }

  function create() {
    formDialog({
      title: t('sessions.new'),
      submit: t('create'),
      fields: [{ name: 'label', label: t('session.label'), hint: t('sessions.new.hint'), maxlength: 100, autocomplete: 'off' }],
      run: ({ label }, key) => post(`${API}/sessions`, label.trim() ? { label: label.trim() } : {}, { key }),
      async done({ data }) {
        pages.restart();
        (await import('./linking.js')).linkPhone(data);
      },
    });
  }

  // Sessions that changed since the last read. Changes of many sessions are one new read.
  const changed = new Set();
  let timer = null;
  onLive(({ event, gap }) => {
    if (gap) return pages.refresh();
    if (!event?.session) return;
    if (event.event === 'session.deleted') {
      rows.get(event.session)?.element.remove();
      rows.delete(event.session);
    } else if (event.event === 'session.created' && pages.isFirst()) changed.add('');
    else if (rows.has(event.session)) changed.add(event.session);
    if (changed.size) timer ??= setTimeout(readChanged, 250);
  }, signal);

  async function readChanged() {
    const ids = [...changed];
    changed.clear();
    try {
      if (ids.includes('') || ids.length > 8) await pages.refresh();
      else await Promise.all(ids.map(readOne));
    } catch { /* The next event or the next read shows the state. */ }
    timer = changed.size && !signal.aborted ? setTimeout(readChanged, 250) : null;
  }

  async function readOne(id) {
    const row = rows.get(id);
    if (!row) return;
    try {
      row.update((await get(at('sessions', id), { signal })).data);
    } catch (failure) {
      if (failure.status === 404) row.element.remove();
    }
  }

  await pages.start();
}

function sessionRow(first) {
  let session = first;
  const menu = el('button.icon', { type: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false', onclick() {
    openMenu(menu, sessionActions(session).map(({ text, run, kind }) => [text, run, kind]));
  } }, '⋯');
  const quick = el('span.quick');
  const cells = ['label', 'status', 'phoneNumber', 'gatewayId', 'lastConnectedAt'].map((name) =>
    el('td', { 'data-label': t('session.' + name) }));
  const element = el('tr', {}, cells, el('td.actions', {}, quick, menu));
  function update(next) {
    if (session.status !== next.status) {
      announce(t('sessions.changed', { name: sessionName(next), status: named('status.', next.status) }));
      element.classList.remove('changed');
      requestAnimationFrame(() => element.classList.add('changed'));
    }
    session = next;
    menu.setAttribute('aria-label', t('sessions.menu', { name: sessionName(session) }));
    const main = sessionActions(session).find((action) => action.main);
    // A focused button stays, so that the keyboard keeps its place.
    if (quick.textContent !== (main?.text ?? '')) {
      fill(quick, main && el('button.small', { type: 'button', onclick: (event) => sessionActions(session).find((it) => it.main)?.run(event.currentTarget) }, main.text));
    }
    [link(`/ui/sessions/${encodeURIComponent(session.id)}`, foreign(sessionName(session))),
      [statusBadge(session), reason(session)], phone(session.phoneNumber), foreign(session.gatewayId, '.number'),
      ago(session.lastConnectedAt)].forEach((value, index) => fill(cells[index], value));
  }
  update(session);
  return { element, update };
}

// Returns what a user may do with a session now. The page of a session shows the same buttons.
export function sessionActions(session) {
  const linked = Boolean(session.phoneNumber);
  const name = sessionName(session);
  const verb = (text) => (control) =>
    act(control, () => post(at('sessions', session.id, ':' + text), undefined, { key: newKey() }), t(`session.${text}.done`));
  const action = (text, run, more) => ({ text: t('session.' + text), run, ...more });
  const open = (module, name) => async () => (await import(module))[name](session);
  return [
    !linked && action('link', open('./linking.js', 'linkPhone'), { main: true }),
    !linked && can.share() && action('share', open('./share.js', 'shareLink')),
    linked && session.desired === 'stopped' && action('start', verb('start'), { main: true }),
    linked && session.desired === 'running' && action('restart', verb('restart')),
    session.desired === 'running' && action('stop', verb('stop')),
    can.has('read') && linked && action('chats', () => navigate(`/ui/chats/${encodeURIComponent(session.id)}`)),
    linked && action('logout', () => formDialog({
      title: t('session.logout'),
      intro: t('session.logout.text', { name, number: '+' + session.phoneNumber }),
      submit: t('session.logout'),
      danger: true,
      run: (_, key) => post(at('sessions', session.id, ':logout'), undefined, { key }),
      done: () => notify(t('session.logout.done')),
    }), { kind: '.danger' }),
    action('delete', () => deleteSession(session), { kind: '.danger' }),
  ].filter(Boolean);
}

function deleteSession(session) {
  const proof = session.label || session.phoneNumber?.slice(-4);
  formDialog({
    title: t('session.delete'),
    intro: t('session.delete.text', { name: sessionName(session) }),
    submit: t('session.delete'),
    danger: true,
    fields: proof ? [{ name: 'proof', label: t('delete.type', { proof }), autocomplete: 'off', spellcheck: 'false' }] : [],
    valid: (typed) => !proof || typed.proof.trim() === proof.trim(),
    run: () => remove(at('sessions', session.id)).catch((failure) => {
      // Somebody else deleted the session already.
      if (failure.status !== 404) throw failure;
    }),
    done() {
      notify(t('session.delete.done'));
      if (location.pathname.startsWith('/ui/sessions/')) navigate('/ui/sessions');
    },
  });
}
