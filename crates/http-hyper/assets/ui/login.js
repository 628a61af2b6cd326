// The login: an API key or a login token once, or the organization's own account. The page stores
// neither; the browser keeps a cookie that scripts cannot read.

import { explain, post, request } from './api.js';
import { el, fill } from './dom.js';
import { choices } from './app.js';
import { field, showFailure } from './dialog.js';
import { named, t } from './i18n.js';
import { reloadOtherTabs } from './live.js';

// Shows the login in `place`: as a page, or above one that stays, where `done` continues it.
export default function login(place, why, done) {
  const asked = new URLSearchParams(location.search);
  const problem = asked.get('problem');
  const reason = problem ? named('login.problem.', problem) : why && t('login.' + why);
  const control = field({ name: 'credential', label: t('login.credential'), type: 'password', hint: t('login.hint'),
    autocomplete: 'off', spellcheck: 'false', required: true });
  const submit = el('button.primary', { type: 'submit' }, t('login.submit'));
  const form = el('form', { novalidate: true, onsubmit: send }, control,
    el('p.form-error', { role: 'alert', hidden: true, tabindex: '-1' }), submit);
  const other = el('div');
  const content = [
    reason ? el('p.notice', { role: 'alert' }, problem && reason === problem ? t('login.problem.other') : reason) : null, other, form];
  if (done) fill(place, content);
  else {
    fill(place, el('main.center', {}, el('h1', {}, el('span.brand', {}, 'berth')), el('h2', { tabindex: '-1' }, t('login.title')), content, choices()));
    place.removeAttribute('aria-busy');
    document.title = `${t('login.title')} · berth`;
  }
  form.elements.credential.focus();
  // Cookies of this kind need HTTPS, except on the computer itself.
  if (!isSecureContext) other.append(el('p.notice.bad', { role: 'alert' }, t('login.insecure')));
  offerAccount(other);

  async function send(event) {
    event.preventDefault();
    const credential = form.elements.credential.value.replace(/\s/g, '');
    const broken = !credential ? 'empty' : credential.startsWith('wa_') || credential.split('.').length === 3 ? null : 'shape';
    showFailure(form, null);
    if (broken) return say(t('login.' + broken));
    submit.setAttribute('aria-busy', 'true');
    try {
      await post('/auth/session', { credential });
      reloadOtherTabs();
      if (done) await done();
      else location.assign(location.pathname.startsWith('/ui/login') ? '/ui/' : location.href);
    } catch (failure) {
      say(failure.status === 401 ? t(credential.startsWith('wa_') ? 'login.refused.key' : 'login.refused.token')
        : failure.status === 403 ? t('login.refused.origin') : failure.status === 404 ? t('login.off') : explain(failure));
    }
    submit.removeAttribute('aria-busy');
  }

  function say(text) {
    const output = form.querySelector('.form-error');
    fill(output, text).hidden = false;
    form.elements.credential.focus();
  }
}

async function offerAccount(place) {
  const options = await request('GET', '/auth/options').catch(() => null);
  if (options?.data?.secure === false) place.append(el('p.notice.bad', { role: 'alert' }, t('login.insecure')));
  if (!options?.data?.oidc) return;
  const back = location.pathname.startsWith('/ui/login') ? '/ui/' : location.pathname + location.search;
  // A link, not a form: Chromium applies `form-action` to redirects. The target leaves the page.
  place.append(el('a.button.primary', { href: '/auth/login?return=' + encodeURIComponent(back) }, t('login.account')),
    el('p.or', {}, t('login.or')));
}
