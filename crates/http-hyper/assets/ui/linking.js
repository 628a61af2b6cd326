// The dialog that links a phone to a session, with every way in which an attempt can end.

import { at, get, newKey, post, serverNow } from './api.js';
import { announce, button, el, fill } from './dom.js';
import { act, openDialog } from './dialog.js';
import { foreign, phone, sessionName } from './format.js';
import { t } from './i18n.js';
import { onLive } from './live.js';
import { ending, endingElement, pairingPanel } from './pairing.js';

// Opens the dialog for a session.
export function linkPhone(session) {
  const closed = new AbortController();
  const path = (...more) => at('sessions', session.id, ...more);
  const { body, close } = openDialog(t('link.title'), { guard, closed: () => closed.abort(), kind: '.linking' });
  const content = el('div');
  const question = el('div.question', { hidden: true, role: 'alertdialog', 'aria-label': t('link.close.title') },
    el('p', {}, t('link.close.text')),
    button(t('link.close.stop'), async (event) => {
      await act(event.currentTarget, () => post(path(':stop'), undefined, { key: newKey() }));
      close();
    }, '.primary'),
    button(t('link.close.leave'), close),
    button(t('link.close.back'), () => { question.hidden = true; }));
  fill(body, el('p.dim', {}, t('link.session'), ' ', foreign(sessionName(session))), content, question);
  let panel = null;
  let began = 0;
  let over = true;
  let started = false;

  // Asks what happens to an attempt that is under way.
  function guard() {
    if (over || question.hidden === false) return true;
    question.hidden = false;
    question.querySelector('button').focus();
    return false;
  }

  function begin() {
    began = serverNow() - 2000;
    over = false;
    started = false;
    const begun = (answer) => { started = true; return answer; };
    panel = pairingPanel({
      qr: (signal) => get(path('qr') + '?wait=20', { signal, accept: 'application/json' }).then(begun),
      picture: (signal) => get(path('qr') + '?wait=0', { signal, accept: 'image/svg+xml' }),
      code: (digits, key) => post(path('pairing-code'), { phone: digits }, { key }).then(begun),
      ended: (failure) => check(failure),
      check: () => check(),
    }, { signal: closed.signal });
    fill(content, panel.element);
    content.querySelector('[role=tab]').focus();
  }

  // Reads the session, and ends the dialog's attempt if the session's attempt is over.
  async function check(failure) {
    if (over || closed.signal.aborted) return;
    const read = await get(path(), { signal: closed.signal }).catch((problem) => ({ problem }));
    if (over || closed.signal.aborted) return;
    if (read.problem?.status === 404) return end({ title: t('missing.title'), text: t('link.deleted'), kind: 'bad' });
    if (read.data) session = read.data;
    const { status, statusReason } = session;
    const isNew = statusReason && statusReason.since >= began;
    if (status === 'working') return end(ending(status), session);
    if (isNew && ['stopped', 'failed'].includes(status)) return end(ending(status, statusReason, failure));
    if (failure?.code === 'conflict' && session.phoneNumber) return end(ending('working'), session);
    if (failure) return end(ending(status, isNew ? statusReason : null, failure));
    // Another code would begin another attempt, against the will of whoever stopped this one.
    if (started && session.desired === 'stopped') end(ending(status));
  }

  function end(result, linked) {
    over = true;
    question.hidden = true;
    panel.stop();
    const element = endingElement('h3', result,
      linked ? el('p.linked', {}, phone(linked.phoneNumber), ' ', foreign(linked.pushName)) : null,
      el('footer', {}, result.again ? button(t('link.again'), begin, '.primary') : null, button(t('close'), close, linked ? '.primary' : '')));
    fill(content, element);
    element.focus();
    announce(result.title);
  }

  onLive(({ event, gap }) => {
    if (gap || event?.session === session.id) check();
  }, closed.signal);
  begin();
}
