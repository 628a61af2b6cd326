// One session: its facts, settings, metadata and events.

import { at, can, get, patch } from './api.js';
import { button, el, fill, link } from './dom.js';
import { copyButton, field, keyOf, notify, showFailure, values } from './dialog.js';
import { ago, at as time, badge, dash, foreign, phone, reason, sessionName, statusBadge } from './format.js';
import { named, t } from './i18n.js';
import { onLive } from './live.js';
import { sessionActions } from './sessions.js';
import { eventFeed } from './events.js';

export default async function page({ content, signal, title }, id) {
  const path = at('sessions', id);
  let { data: session, etag } = await get(path, { signal });
  const heading = el('h1');
  const status = el('p');
  const actions = el('div.head');
  const facts = el('dl.facts');
  const gone = el('p.notice.bad', { role: 'alert', hidden: true }, t('session.gone'));
  const editor = settingsEditor(path, () => ({ session, etag }), (next) => { ({ data: session, etag } = next); draw(); });
  const feed = can.manageAll() ? eventFeed({ sessionId: id }, signal) : null;
  fill(content,
    el('p', {}, link('/ui/sessions', '← ', t('sessions.title'))),
    el('div.head', {}, heading), gone, status, actions,
    el('div.cards', {}, el('section.card', {}, el('h2', {}, t('session.facts')), facts), editor.element),
    feed ? el('section.card', {}, el('h2', {}, t('session.events')), feed.element) : null);
  draw();
  title(sessionName(session));

  function draw() {
    fill(heading, foreign(sessionName(session)));
    fill(status, statusBadge(session), ' ', reason(session));
    if (session.statusReason) {
      const advice = named('advice.', session.statusReason.code);
      fill(status, statusBadge(session), ' ', reason(session), advice !== session.statusReason.code ? el('span.hint', {}, ' — ', advice) : null);
    }
    const focused = actions.contains(document.activeElement) ? document.activeElement.textContent : null;
    fill(actions, sessionActions(session).map(({ text, run, main, kind }) =>
      button(text, (event) => run(event.currentTarget), main ? '.primary' : kind ?? '')));
    if (focused) [...actions.children].find((it) => it.textContent === focused)?.focus();
    const copied = (value) => value ? [foreign(value), copyButton(String(value))] : dash();
    fill(facts, [
      ['id', copied(session.id)],
      ['phoneNumber', session.phoneNumber ? [phone(session.phoneNumber), copyButton('+' + session.phoneNumber)] : dash()],
      ['pushName', foreign(session.pushName)], ['waJid', copied(session.waJid)], ['waLid', copied(session.waLid)],
      ['deviceId', foreign(session.deviceId)], ['desired', foreign(named('desired.', session.desired))],
      ['gatewayId', foreign(session.gatewayId)], ['lastConnectedAt', ago(session.lastConnectedAt)],
      ['createdAt', time(session.createdAt)], ['createdByUserId', foreign(session.createdByUserId)],
      ['updatedAt', ago(session.updatedAt)], ['version', foreign(session.version)],
      session.isAdminSession && ['isAdminSession', badge('good', t('yes'))],
    ].filter(Boolean).map(([name, value]) => [el('dt', {}, t('session.' + name)), el('dd', {}, value)]));
    if (!signal.aborted) document.title = `${sessionName(session)} · berth`;
  }

  let reading = false;
  onLive(async ({ event, gap }) => {
    if (event?.session === id && feed) feed.add(event);
    if ((!gap && event?.session !== id) || reading) return;
    reading = true;
    try {
      await new Promise((resolve) => setTimeout(resolve, 200));
      const next = await get(path, { signal, ifNoneMatch: etag });
      if (next.data) { ({ data: session, etag } = next); draw(); editor.noteChange(); }
    } catch (failure) {
      // What was typed stays on the page, to be copied.
      if (failure.status === 404) { gone.hidden = false; fill(actions); }
    }
    reading = false;
  }, signal);
}

const TEXTS = ['label', 'ratePerMin', 'ratePerHour', 'retentionDays'];

// Returns the editor of settings and metadata. A change by somebody else never touches what was
// typed: the editor shows both versions, and the user decides.
function settingsEditor(path, current, saved) {
  const keys = keyOf();
  let base = current();
  const pairs = el('div.pairs');
  const note = el('div.notice', { hidden: true, role: 'status' });
  const save = el('button.primary', { type: 'submit' }, t('save'));
  const body = el('div.pairs');
  const form = el('form.card', { novalidate: true, onsubmit: submit, oninput: check }, el('h2', {}, t('session.settings')), body, note,
    el('p.form-error', { role: 'alert', hidden: true, tabindex: '-1' }),
    el('footer', {}, button(t('reset'), reset), save));
  reset();

  function reset() {
    base = current();
    const { session } = base;
    const text = (name, more) => field({ name, label: t('session.' + name), value: session[name] ?? '', ...more });
    const count = (name) => text(name, { type: 'number', min: 0, hint: t(`session.${name}.hint`) });
    fill(body, text('label', { maxlength: 100, autocomplete: 'off' }),
      field({ name: 'autoRead', label: t('session.autoRead'), type: 'checkbox', value: session.autoRead }),
      field({ name: 'presenceTyping', label: t('session.presenceTyping'), type: 'checkbox', value: session.presenceTyping }),
      count('ratePerMin'), count('ratePerHour'),
      field({ name: 'messages', label: t('session.messages'), type: 'select', value: session.messages,
        options: ['full', 'headers', 'none'].map((key) => [key, t('session.messages.' + key)]) }),
      count('retentionDays'),
      el('fieldset.field', {}, el('legend', {}, t('session.metadata')), pairs,
        button(t('metadata.add'), () => { pairs.append(pair('', '')); pairs.lastChild.querySelector('input').focus(); }, '.small')));
    fill(pairs, Object.entries(session.metadata).map(([key, value]) => pair(key, value)));
    note.hidden = true;
    showFailure(form, null);
    check();
  }

  function pair(key, value) {
    const row = el('div.pair', {}, el('input', { className: 'meta-key', value: key, maxlength: 40, 'aria-label': t('metadata.key') }),
      el('input', { className: 'meta-value', value, maxlength: 500, 'aria-label': t('metadata.value') }),
      el('button.icon', { type: 'button', 'aria-label': t('metadata.remove'), onclick() { row.remove(); check(); } }, '✕'));
    return row;
  }

  // Returns the merge patch from `session` to what is typed.
  function difference(session) {
    const typed = values(form);
    const change = {};
    const target = {
      label: typed.label.trim() || null, autoRead: typed.autoRead, presenceTyping: typed.presenceTyping, messages: typed.messages,
      ...Object.fromEntries(TEXTS.slice(1).map((name) => [name, typed[name] === '' ? null : Number(typed[name])])),
    };
    for (const [name, value] of Object.entries(target)) if (value !== session[name]) change[name] = value;
    const metadata = Object.fromEntries([...pairs.children].map((row) =>
      [row.querySelector('.meta-key').value.trim(), row.querySelector('.meta-value').value]).filter(([key]) => key));
    const names = new Set([...Object.keys(metadata), ...Object.keys(session.metadata)]);
    const changed = [...names].filter((key) => metadata[key] !== session.metadata[key]).map((key) => [key, metadata[key] ?? null]);
    if (changed.length) change.metadata = Object.fromEntries(changed);
    return change;
  }

  function isDirty() {
    return Object.keys(difference(base.session)).length > 0;
  }

  function check() {
    save.disabled = !isDirty();
  }

  async function submit(event) {
    event.preventDefault();
    const change = difference(base.session);
    if (!Object.keys(change).length || save.getAttribute('aria-busy')) return;
    save.setAttribute('aria-busy', 'true');
    showFailure(form, null);
    try {
      const next = await patch(path, change, base.etag);
      saved(next);
      reset();
      notify(t('saved'));
    } catch (failure) {
      keys.settle(failure);
      if (failure.status === 412) await conflict();
      else showFailure(form, failure);
    }
    save.removeAttribute('aria-busy');
  }

  // Shows what differs between what is typed and what is stored now.
  async function conflict() {
    saved(await get(path));
    const { session } = current();
    const mine = difference(base.session);
    const flat = ({ metadata, ...rest }) => ({ ...rest, ...Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [`metadata.${key}`, value])) });
    const theirs = flat(session);
    const rows = Object.entries(flat(mine)).map(([name, value]) =>
      el('tr', {}, [named('session.', name), value, theirs[name]].map((cell) => el('td', {}, foreign(cell)))));
    fill(note, el('p', {}, t('conflict.text')), el('table', {},
      el('thead', {}, el('tr', {}, ['field', 'mine', 'theirs'].map((key) => el('th', { scope: 'col' }, t('conflict.' + key))))),
      el('tbody', {}, rows)),
    el('footer', {}, button(t('conflict.take'), reset),
      button(t('conflict.keep'), () => { base = rebased(mine); note.hidden = true; form.requestSubmit(); }, '.primary')));
    note.hidden = false;
    note.querySelector('button').focus();
  }

  // Returns a base on which saving changes only the fields that the user changed.
  function rebased(mine) {
    const now = current();
    const session = { ...now.session, metadata: { ...now.session.metadata } };
    const typed = difference(session);
    for (const name of Object.keys(typed)) if (name !== 'metadata' && !(name in mine)) session[name] = typed[name];
    for (const [key, value] of Object.entries(typed.metadata ?? {})) {
      if (key in (mine.metadata ?? {})) continue;
      if (value === null) delete session.metadata[key]; else session.metadata[key] = value;
    }
    return { session, etag: now.etag };
  }

  return {
    element: form,
    noteChange() {
      const { session } = current();
      if (!isDirty()) return reset();
      const settings = ['autoRead', 'presenceTyping', 'messages', ...TEXTS];
      const same = settings.every((name) => session[name] === base.session[name])
        && JSON.stringify(session.metadata) === JSON.stringify(base.session.metadata);
      // A new status is a new version, too; the settings are as the user knows them.
      if (same) base = current();
      else if (note.hidden) fill(note, t('conflict.note')).hidden = false;
    },
  };
}
