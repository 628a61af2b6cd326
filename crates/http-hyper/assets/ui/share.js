// The dialog of share links: a link with which the owner of a phone links it without a key.

import { at, explain, get, post, remove } from './api.js';
import { button, el, fill } from './dom.js';
import { act, copyButton, field, keyOf, openDialog, showFailure, values } from './dialog.js';
import { ago, badge, foreign, sessionName } from './format.js';
import { named, t } from './i18n.js';
import { onLive } from './live.js';

const HOURS = [['1800', 'share.30m'], ['14400', 'share.4h'], ['86400', 'share.24h']];
const ALIVE = ['open', 'opened'];

export function shareLink(session) {
  const path = at('sessions', session.id, 'links');
  const keys = keyOf();
  const closed = new AbortController();
  const { body } = openDialog(t('session.share'), { closed: () => closed.abort() });
  const made = el('div.pairing', { 'aria-live': 'polite' });
  const list = el('ul.feed');
  const submit = el('button.primary', { type: 'submit' }, t('share.make'));
  const form = el('form', { novalidate: true, onsubmit: make },
    el('p.intro', {}, t('share.text')),
    field({ name: 'title', label: t('share.title'), hint: t('share.title.hint'), maxlength: 60, value: session.label?.slice(0, 60) ?? '', autocomplete: 'off' }),
    field({ name: 'phone', label: t('share.phone'), hint: t('share.phone.hint'), inputmode: 'tel', autocomplete: 'off' }),
    field({ name: 'expiresIn', label: t('share.expires'), type: 'select', options: HOURS.map(([value, key]) => [value, t(key)]) }),
    el('p.form-error', { role: 'alert', hidden: true, tabindex: '-1' }),
    el('footer', {}, submit));
  fill(body, el('p.dim', {}, t('link.session'), ' ', foreign(sessionName(session))), form, made, list);
  showAll();
  onLive(({ event, gap }) => {
    if (gap || (event?.session === session.id && event.event.startsWith('link.'))) showAll();
  }, closed.signal);

  async function make(event) {
    event.preventDefault();
    if (submit.getAttribute('aria-busy')) return;
    submit.setAttribute('aria-busy', 'true');
    showFailure(form, null);
    const typed = values(form);
    const spec = { expiresIn: Number(typed.expiresIn) };
    if (typed.title.trim()) spec.title = typed.title.trim();
    const digits = typed.phone.replace(/\D/g, '');
    if (digits) spec.phone = digits;
    try {
      const { data } = await post(path, spec, { key: keys.for(spec) });
      fill(made, el('p', {}, t('share.made')), el('div.secret', {}, el('code', {}, data.url), copyButton(data.url)),
        el('p.hint', {}, t('share.once')));
      keys.settle(null);
      form.hidden = true;
      showAll();
    } catch (failure) {
      keys.settle(failure);
      showFailure(form, failure);
    }
    submit.removeAttribute('aria-busy');
  }

  async function showAll() {
    try {
      const { data } = await get(path);
      fill(list, data.data.map((link) => el('li', {}, el('div.head', {},
        badge(ALIVE.includes(link.state) ? 'good' : '', named('share.state.', link.state)), foreign(link.title), ALIVE.includes(link.state) ? el('span.hint', {}, t('key.expiresAt'), ' ', ago(link.expiresAt)) : null,
        ALIVE.includes(link.state) ? button(t('share.revoke'), (event) => act(event.currentTarget, async () => {
          await remove(at('sessions', session.id, 'links', link.id)).catch((failure) => { if (failure.status !== 404) throw failure; });
          await showAll();
        }, t('share.revoked')), '.small') : null))));
    } catch (failure) {
      fill(list, el('li.fault', { role: 'alert' }, explain(failure)));
    }
  }
}
