// The page of a share link, for the owner of a phone who has no key.

import { get, post, request } from './api.js';
import { el, fill, sleep, whenVisible } from './dom.js';
import { choices } from './app.js';
import { ago, foreign } from './format.js';
import { t } from './i18n.js';
import { ending, endingElement, pairingPanel } from './pairing.js';

export default async function link(app) {
  const secret = location.hash.slice(1);
  // The secret leaves the address line, the history and every picture of the screen.
  history.replaceState(null, '', location.pathname);
  const content = el('div.pairing', { 'aria-live': 'polite' });
  const stop = new AbortController();
  fill(app, el('main.center.wide', {}, el('h1', {}, t('link.title')), content, choices()));
  app.removeAttribute('aria-busy');
  document.title = t('link.title');
  // Another link in the address line of this page does not load the document.
  addEventListener('hashchange', () => location.reload());
  try {
    if (secret) await post('/link/session', { secret });
    await run((await get('/link/state')).data);
  } catch (failure) {
    dead(failure);
  }

  // One answer for a link that is unknown, expired, revoked or open in another browser.
  function dead(failure) {
    stop.abort();
    if (failure.status === 404 || failure.status === 401) {
      show({ title: t('owner.dead'), text: t('owner.dead.text'), kind: 'neutral' });
    } else {
      show(ending('', null, failure), el('button.primary', { type: 'button', onclick: again }, t('retry')));
    }
  }

  // The secret goes back into the address for the reload, because it was not accepted yet.
  function again() {
    if (secret) location.hash = secret;
    else location.reload();
  }

  function show(result, ...more) {
    const element = endingElement('h2', result, more);
    fill(content, element);
    element.focus();
  }

  async function run(first) {
    let [state, panel, started] = [first, null, false];
    // The browser has one cookie: a link that was opened in another tab replaces this one.
    const same = ({ data }) => data.id === first.id ? data : Promise.reject(Object.assign(new Error(), { status: 404 }));
    const read = (query) => get('/link/state' + query, { signal: stop.signal }).then(same);
    const own = (answer) => read('').then(() => answer);
    const begun = (answer) => { started = true; return answer; };
    const source = {
      qr: (signal) => get('/link/qr?wait=20', { signal, accept: 'application/json' }).then(own).then(begun, onlyPending),
      picture: (signal) => request('GET', '/link/qr?wait=0', { signal, accept: 'image/svg+xml' }),
      code: (phone) => post('/link/pairing-code', { phone }).then(own).then(begun),
      ended: lapsed,
      check: () => read('').then(apply).catch((failure) => { if (failure.status === 404) dead(failure); }),
    };
    begin();
    await watch();

    // An attempt is over; the link allows another one.
    function lapsed(failure) {
      panel.stop();
      if (failure?.status === 410) return dead(Object.assign(failure, { status: 404 }));
      if (failure?.status === 429) return show(ending('', null, failure));
      show(ending(state.status, state.statusReason, failure), el('p.dim', {}, left()),
        el('button.primary', { type: 'button', onclick: begin }, t('link.again')));
    }

    function left() {
      return t('owner.left', { count: Math.max(0, state.maxAttempts - state.attempts) });
    }

    function begin() {
      panel?.stop();
      started = false;
      // A phone cannot scan its own screen: there, the code to type comes first.
      const isPhone = matchMedia('(pointer: coarse) and (max-width: 640px)').matches;
      const methods = isPhone ? [...state.methods].reverse() : state.methods;
      panel = pairingPanel(source, { methods, phone: state.phone ?? '', signal: stop.signal });
      // Relayed codes are a known attack: the page says who asks and what a link grants.
      fill(content, el('div.notice', {}, el('p', {}, t('owner.asks'), ' ', el('strong', {}, foreign(state.title ?? t('owner.someone')))),
        el('p', {}, t('owner.grants'))), panel.element, el('p.hint', {}, t('owner.ends'), ' ', ago(state.expiresAt), ' · ', left()));
    }

    function apply(next) {
      const isOther = next.version !== state.version;
      state = next;
      if (state.state !== 'open') return finish();
      if (started && panel.isOpen() && ['stopped', 'failed'].includes(state.status)) lapsed();
      return isOther;
    }

    async function watch() {
      if (state.state !== 'open') return finish();
      while (!stop.signal.aborted) {
        await whenVisible(stop.signal);
        try {
          if (!apply(await read(`?wait=25&version=${encodeURIComponent(state.version)}`))) await sleep(500, stop.signal);
        } catch (failure) {
          if (stop.signal.aborted) return;
          if (failure.status === 404 || failure.status === 403) return dead(failure);
          await sleep((failure.retryAfter ?? 3) * 1000, stop.signal);
        }
      }
    }

    function finish() {
      stop.abort();
      const isLinked = state.state === 'used';
      // The server has checked the origin of the address.
      const back = state.returnUrl && /^https?:/.test(state.returnUrl) ? el('a.button.primary', { href: state.returnUrl }, t('owner.back')) : null;
      show(isLinked ? { title: t('link.done'), text: t('owner.done'), kind: 'good' } : { title: t('owner.failed'), text: t('owner.failed.text'), kind: 'bad' }, back);
    }
  }
}

// A link that is dead has no time for a repetition; a code that is not there yet has one.
function onlyPending(failure) {
  if (failure.status === 404 && !failure.retryAfter) failure.status = 410;
  throw failure;
}
