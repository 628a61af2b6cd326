// One webhook: its settings, the state of its deliveries, attempts and dead letters.

import { at, get, newKey, post, remove } from './api.js';
import { button, el, fill, link } from './dom.js';
import { act, formDialog, notify } from './dialog.js';
import { ago, at as time, dash, foreign, number } from './format.js';
import { named, t } from './i18n.js';
import { onLive } from './live.js';
import { navigate } from './app.js';
import { pager, row, table } from './table.js';
import { editWebhook, stateBadge } from './webhooks.js';

export default async function page({ content, signal, title }, id) {
  const path = (...more) => at('webhooks', id, ...more);
  let current = await get(path(), { signal });
  const [heading, actions, facts, status] = [el('h1'), el('div.head'), el('dl.facts'), el('dl.facts')];
  const heads = ['timestamp', 'event', 'attempt', 'outcome', 'duration', 'response'].map((name) => t('attempt.' + name));
  const attempts = table(t('webhook.attempts.list'), heads);
  const attemptPages = pager((cursor) => list('attempts', cursor, attempts, (it) => row(heads, [
    time(it.timestamp), el('code', {}, it.event), [number(it.attempt), it.replay ? ' · ' + t('webhook.replay') : null],
    outcome(it), t('millis', { count: it.durationMs }), it.response ? el('span.clip', {}, foreign(it.response)) : dash()])));
  const deadHeads = [...['died', 'event', 'session', 'attempts', 'outcome', 'replayed'].map((name) => t('dead.' + name)), ''];
  const dead = table(t('webhook.dead'), deadHeads);
  const deadPages = pager((cursor) => list('dead-letters', cursor, dead, (it) => row(deadHeads, [
    time(it.diedAt), el('code', {}, it.event), it.session ? el('code', {}, it.session) : dash(), number(it.attempts), outcome(it), ago(it.replayedAt),
    button(t('webhook.replay'), (event) => act(event.currentTarget, async () => {
      await post(path('dead-letters', it.event, ':replay'), undefined, { key: newKey() });
      await refresh();
    }, t('dead.replay.done')), '.small')])));
  const skip = el('div');
  fill(content, el('p', {}, link('/ui/webhooks', '← ', t('nav.webhooks'))), el('div.head', {}, heading), actions,
    el('div.cards', {}, el('section.card', {}, el('h2', {}, t('webhook.deliveries')), status, skip),
      el('section.card', {}, el('h2', {}, t('webhook.settings')), facts)),
    el('h2', {}, t('webhook.dead')), dead.element, deadPages.element,
    el('h2', {}, t('webhook.attempts.list')), attempts.element, attemptPages.element);
  draw();
  title(current.data.url);
  await refresh();

  function outcome(it) {
    return el('span', {}, named('outcome.', it.outcome), it.status ? ` (${it.status})` : null);
  }

  async function list(name, cursor, shown, show) {
    const { data } = await get(`${path(name)}?limit=20${cursor ? '&cursor=' + encodeURIComponent(cursor) : ''}`, { signal });
    fill(shown.body, data.data.length ? data.data.map(show) : el('tr', {}, el('td.dim', { colspan: 7 }, t(name === 'attempts' ? 'attempt.none' : 'dead.none'))));
    return data.nextCursor;
  }

  function draw() {
    const it = current.data;
    fill(heading, foreign(it.url));
    const verb = (name) => button(t('webhook.' + name), (event) => act(event.currentTarget, async () => {
      current = await post(path(':' + name), undefined, { key: newKey() });
      draw();
      await refresh();
    }));
    fill(actions, button(t('webhook.ping'), ping, '.primary'), it.paused || it.disabledReason ? verb('resume') : verb('pause'),
      button(t('webhook.replay.all'), replay), button(t('webhook.edit'), () => editWebhook(current, (next) => { current = next; draw(); })),
      button(t('webhook.delete'), drop, '.danger'));
    facts_(facts, [
      ['id', el('code', {}, it.id)], ['events', foreign(it.events.join(', '))], ['session', it.sessionId ? el('code', {}, it.sessionId) : t('key.all')],
      ['active', t(it.active ? 'yes' : 'no')], ['ordered', t(it.ordered ? 'yes' : 'no')],
      ['policy', [t('webhook.policy.' + it.retryPolicy.policy), ', ', t('webhook.policy.text', { seconds: it.retryPolicy.delaySeconds, count: it.retryPolicy.attempts })]],
      ['headers', Object.keys(it.customHeaders).length ? foreign(Object.entries(it.customHeaders).map(([name, value]) => `${name}: ${value}`).join(', ')) : dash()],
      ['rotated', ago(it.secretRotatedAt)], ['createdAt', time(it.createdAt)], ['disabled', it.disabledReason ? named('webhook.disabled.', it.disabledReason) : dash()],
    ]);
  }

  function facts_(into, pairs) {
    fill(into, pairs.map(([name, value]) => [el('dt', {}, t('webhook.' + name)), el('dd', {}, value)]));
  }

  async function refresh() {
    const { data } = await get(path('state'), { signal });
    facts_(status, [
      ['state', stateBadge(data.state)], ['signed', t(data.signed ? 'yes' : 'no')], ['lag', number(data.lag)], ['oldest', ago(data.oldestUndelivered)],
      ['blocked', number(data.blockedSessions)], ['lastSuccessAt', ago(data.lastSuccessAt)], ['lastError', data.lastError ? named('outcome.', data.lastError) : dash()],
      ['nextAttemptAt', ago(data.nextAttemptAt)], ['delivered', number(data.delivered)], ['failed', number(data.failed)], ['deadCount', number(data.dead)],
      ['replaying', data.replay ? ago(data.replay.startedAt) : dash()],
    ]);
    fill(skip, data.blockedSessions ? button(t('webhook.skip'), skipOne) : null);
    await Promise.all([attemptPages.refresh(), deadPages.refresh()]);
  }

  function ping(event) {
    return act(event.currentTarget, async () => {
      const { data } = await post(path(':ping'));
      const text = t('webhook.ping.done', { outcome: named('outcome.', data.outcome), status: data.status ?? '–', millis: data.durationMs });
      notify(text, data.outcome === 'success' ? '' : '.bad');
    });
  }

  function replay() {
    formDialog({
      title: t('webhook.replay.all'),
      intro: t('webhook.replay.text'),
      submit: t('webhook.replay'),
      fields: [{ name: 'since', label: t('webhook.since'), type: 'datetime-local' }, { name: 'until', label: t('webhook.until'), type: 'datetime-local' },
        { name: 'deadOnly', label: t('webhook.deadOnly'), type: 'checkbox', value: true }],
      run({ since, until, deadOnly }, key) {
        const moment = (text) => text ? new Date(text).getTime() : null;
        return post(path(':replay'), { since: moment(since) ?? (deadOnly ? null : 0), until: moment(until), deadOnly }, { key });
      },
      done() { notify(t('webhook.replay.done')); refresh(); },
    });
  }

  // A session waits for the event whose delivery fails; the newest failed attempt names it.
  function skipOne() {
    formDialog({
      title: t('webhook.skip'),
      intro: t('webhook.skip.text'),
      submit: t('webhook.skip'),
      danger: true,
      fields: [{ name: 'event', label: t('attempt.event'), value: attempts.body.querySelector('code')?.textContent ?? '', autocomplete: 'off', spellcheck: 'false' }],
      run: ({ event }, key) => post(path('dead-letters', event.trim(), ':skip'), undefined, { key }),
      done() { notify(t('webhook.skip.done')); refresh(); },
    });
  }

  function drop() {
    formDialog({
      title: t('webhook.delete'),
      intro: t('webhook.delete.text', { url: current.data.url }),
      submit: t('webhook.delete'),
      danger: true,
      run: () => remove(path()).catch((failure) => { if (failure.status !== 404) throw failure; }),
      done() { notify(t('webhook.delete.done')); navigate('/ui/webhooks'); },
    });
  }

  onLive(({ event, gap }) => {
    if (gap || (event?.event.startsWith('webhook.') && JSON.stringify(event.payload).includes(id))) {
      get(path(), { signal }).then((next) => { current = next; draw(); return refresh(); }).catch(() => {});
    }
  }, signal);
}

