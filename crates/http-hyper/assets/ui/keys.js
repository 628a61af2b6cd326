// The API keys of the organization. The text of a key shows once, in the dialog that made it.

import { API, at, get, post, remove, whoami } from './api.js';
import { button, el, fill } from './dom.js';
import { copyButton, formDialog, notify, openDialog } from './dialog.js';
import { ago, at as time, foreign } from './format.js';
import { t } from './i18n.js';
import { onLive } from './live.js';
import { pager, row, skeleton, table } from './table.js';

const CAPABILITIES = ['read', 'send', 'manage'];
const DAY = 86_400_000;

export default async function keys({ content, signal, title }) {
  const me = await whoami();
  const heads = ['name', 'prefix', 'capabilities', 'reach', 'lastUsedAt', 'expiresAt'].map((name) => t('key.' + name));
  const list = table(t('nav.keys'), [...heads, '']);
  const empty = el('div.empty', { hidden: true }, el('h2', {}, t('keys.empty')), el('p', {}, t('keys.empty.text')));
  const pages = pager(async (cursor) => {
    const { data } = await get(`${API}/api-keys?limit=50${cursor ? '&cursor=' + encodeURIComponent(cursor) : ''}`, { signal });
    fill(list.body, data.data.map((key) => row([...heads, ''], [foreign(key.name), el('code', {}, key.prefix),
      key.capabilities.map((name) => t('capability.' + name)).join(', '),
      key.sessions ? t('key.sessions', { count: key.sessions.length }) : t('key.all'),
      key.lastUsedAt ? ago(key.lastUsedAt) : t('never'), key.expiresAt ? time(key.expiresAt) : t('never'),
      button(t('key.revoke'), () => revoke(key), '.danger.small')])));
    empty.hidden = data.data.length > 0;
    list.element.hidden = !empty.hidden;
    return data.nextCursor;
  });
  fill(content, el('div.head', {}, el('h1', {}, t('nav.keys')), button(t('keys.new'), create, '.primary')), list.element, empty, pages.element);
  fill(list.body, skeleton(4, 7));
  title();
  onLive(({ event, gap }) => { if (gap || event?.event.startsWith('api_key.')) pages.refresh(); }, signal);
  await pages.start();

  function create() {
    formDialog({
      title: t('keys.new'),
      submit: t('create'),
      fields: [
        { name: 'name', label: t('key.name'), maxlength: 100, autocomplete: 'off', hint: t('key.name.hint') },
        { name: 'capabilities', label: t('key.capabilities'), type: 'checks', hint: t('key.capabilities.hint'),
          options: CAPABILITIES.map((name) => [name, t('capability.' + name), false, !me.capabilities.includes(name)]) },
        { name: 'expires', label: t('key.expiresAt'), type: 'select', options: [['', t('never')], ['30', t('key.days', { count: 30 })], ['90', t('key.days', { count: 90 })], ['365', t('key.days', { count: 365 })]] },
        { name: 'sessions', label: t('key.reach'), type: 'textarea', hint: t('key.reach.hint'), spellcheck: 'false', placeholder: 'sess_…' },
      ],
      valid: (typed) => typed.name.trim() && typed.capabilities?.length,
      run({ name, capabilities, expires, sessions }, key) {
        const named = sessions.split(/[\s,]+/).filter(Boolean);
        // Whole days of the typed form: a repetition has the same body and so the same effect.
        const end = expires && (Math.floor(Date.now() / DAY) + 1 + Number(expires)) * DAY;
        return post(`${API}/api-keys`, { name: name.trim(), capabilities, expiresAt: end || null, sessions: named.length ? named : null }, { key });
      },
      done({ data }) { showOnce(data); pages.restart(); },
    });
  }

  function showOnce(made) {
    let isStored = false;
    const box = el('input', { type: 'checkbox', onchange() { isStored = box.checked; finish.disabled = !isStored; } });
    const { body, close } = openDialog(t('key.made'), { guard: () => isStored });
    const finish = button(t('close'), close, '.primary');
    finish.disabled = true;
    fill(body, el('p', {}, t('key.made.text')), el('div.secret', {}, el('code', {}, made.key), copyButton(made.key)),
      el('div.field.check', {}, el('label', {}, box, ' ', t('key.stored'))), el('footer', {}, finish));
  }

  function revoke(key) {
    formDialog({
      title: t('key.revoke'),
      intro: t('key.revoke.text', { name: key.name, prefix: key.prefix }),
      submit: t('key.revoke'),
      danger: true,
      run: () => remove(at('api-keys', key.id)).catch((failure) => { if (failure.status !== 404) throw failure; }),
      done() { notify(t('key.revoked')); pages.refresh(); },
    });
  }
}
