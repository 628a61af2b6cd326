// The webhooks of the organization, and the dialog that creates or changes one.

import { API, at, get, patch, post } from './api.js';
import { button, el, fill, link } from './dom.js';
import { copyButton, field, formDialog } from './dialog.js';
import { ago, badge, foreign } from './format.js';
import { named, t } from './i18n.js';
import { onLive } from './live.js';
import { navigate } from './app.js';
import { pager, row, skeleton, table } from './table.js';

const TONES = { idle: 'good', delivering: 'good', retrying: 'warn', failing: 'bad', sealed: 'bad', disabled: 'bad' };

export function stateBadge(state) {
  return badge(TONES[state] ?? '', named('webhook.state.', state));
}

export default async function webhooks({ content, signal, title }) {
  const heads = ['url', 'state', 'events', 'session', 'lastSuccessAt'].map((name) => t('webhook.' + name));
  const list = table(t('nav.webhooks'), heads);
  const empty = el('div.empty', { hidden: true }, el('h2', {}, t('webhooks.empty')), el('p', {}, t('webhooks.empty.text')));
  const pages = pager(async (cursor) => {
    const { data } = await get(`${API}/webhooks?limit=50${cursor ? '&cursor=' + encodeURIComponent(cursor) : ''}`, { signal });
    fill(list.body, data.data.map((webhook) => {
      const [state, success] = [el('span', {}, '…'), el('span', {}, '…')];
      // The state of deliveries is a resource of its own; a state that cannot be read says so.
      get(at('webhooks', webhook.id, 'state'), { signal }).then(
        ({ data }) => { fill(state, stateBadge(data.state)); fill(success, ago(data.lastSuccessAt)); },
        () => { fill(state, t('unknown')); fill(success); });
      return row(heads, [link('/ui/webhooks/' + encodeURIComponent(webhook.id), foreign(webhook.url)), state,
        foreign(webhook.events.join(', ')), webhook.sessionId ? el('code', {}, webhook.sessionId) : t('key.all'), success]);
    }));
    empty.hidden = data.data.length > 0;
    list.element.hidden = !empty.hidden;
    return data.nextCursor;
  });
  fill(content, el('div.head', {}, el('h1', {}, t('nav.webhooks')),
    button(t('webhooks.new'), () => editWebhook(null), '.primary')), list.element, empty, pages.element);
  fill(list.body, skeleton(3, 5));
  title();
  onLive(({ event, gap }) => { if (gap || event?.event.startsWith('webhook.')) pages.refresh(); }, signal);
  await pages.start();
}

// Opens the dialog for a new webhook, or for `current` with its entity tag.
export function editWebhook(current, saved) {
  const it = current?.data ?? { url: '', events: ['*'], active: true, ordered: true, sessionId: null, customHeaders: {}, retryPolicy: { policy: 'exponential', delaySeconds: 2, attempts: 15 } };
  const secret = field({ name: 'secret', label: t('webhook.secret'), type: 'password', autocomplete: 'new-password', spellcheck: 'false', hint: t(current ? 'webhook.secret.keep' : 'webhook.secret.hint') });
  secret.append(button(t('webhook.secret.make'), (event) => {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const input = secret.querySelector('input');
    input.value = 'whsec_' + btoa(String.fromCharCode(...bytes));
    input.type = 'text';
    event.currentTarget.replaceWith(copyButton(input.value));
  }, '.small'));
  const headers = Object.entries(it.customHeaders).map(([name, value]) => `${name}: ${value}`).join('\n');
  formDialog({
    title: t(current ? 'webhook.edit' : 'webhooks.new'),
    submit: t(current ? 'save' : 'create'),
    fields: [
      { name: 'url', label: t('webhook.url'), type: 'url', value: it.url, autocomplete: 'off', placeholder: 'https:' },
      { name: 'events', label: t('webhook.events'), value: it.events.join(' '), hint: t('webhook.events.hint'), autocomplete: 'off', spellcheck: 'false' },
      { name: 'sessionId', label: t('webhook.session'), value: it.sessionId ?? '', hint: t('webhook.session.hint'), autocomplete: 'off', spellcheck: 'false', placeholder: 'sess_…' },
      { name: 'ordered', label: t('webhook.ordered'), type: 'checkbox', value: it.ordered },
      { name: 'active', label: t('webhook.active'), type: 'checkbox', value: it.active },
      { name: 'customHeaders', label: t('webhook.headers'), type: 'textarea', value: headers, hint: t('webhook.headers.hint'), spellcheck: 'false' },
      { name: 'policy', label: t('webhook.policy'), type: 'select', value: it.retryPolicy.policy, options: ['exponential', 'linear', 'constant'].map((key) => [key, t('webhook.policy.' + key)]) },
      { name: 'attempts', label: t('webhook.attempts'), type: 'number', min: 1, max: 15, value: it.retryPolicy.attempts },
      secret,
    ],
    valid: (typed) => typed.url.trim() !== '',
    async run(typed, key) {
      const body = {
        url: typed.url.trim(), events: typed.events.split(/[\s,]+/).filter(Boolean), sessionId: typed.sessionId.trim() || null,
        ordered: typed.ordered, active: typed.active, customHeaders: readHeaders(typed.customHeaders, it.customHeaders),
        retryPolicy: { policy: typed.policy, attempts: Number(typed.attempts) },
      };
      if (!body.events.length) body.events = ['*'];
      if (typed.secret) body.secret = typed.secret;
      if (!current) {
        for (const name of Object.keys(body.customHeaders)) if (body.customHeaders[name] === null) delete body.customHeaders[name];
        return post(`${API}/webhooks`, body, { key });
      }
      // Only what the user changed, so that a change by somebody else stays.
      const before = { ...it, customHeaders: {}, retryPolicy: { policy: it.retryPolicy.policy, attempts: it.retryPolicy.attempts } };
      const change = Object.fromEntries(Object.entries(body).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
      return patch(at('webhooks', it.id), change, current.etag).catch(async (failure) => {
        // The next attempt is a decision of the user, who has read of the change.
        if (failure.status === 412) current.etag = (await get(at('webhooks', it.id))).etag;
        throw failure;
      });
    },
    done(result) { if (current) saved(result); else navigate('/ui/webhooks/' + encodeURIComponent(result.data.id)); },
  });
}

// Returns the merge patch of the headers. A masked value stays as it is.
function readHeaders(text, before) {
  const typed = Object.fromEntries(text.split('\n').map((line) => line.split(/:(.*)/s)).filter(([name]) => name.trim())
    .map(([name, value]) => [name.trim(), (value ?? '').trim()]));
  const gone = Object.keys(before).filter((name) => !(name in typed)).map((name) => [name, null]);
  const changed = Object.entries(typed).filter(([name, value]) => before[name] !== value || value !== '***');
  return Object.fromEntries([...gone, ...changed]);
}
