// The panel that links a phone by QR code or by pairing code, for the dialog and for share links.

import { explain, serverNow } from './api.js';
import { announce, el, fill, sleep, whenVisible } from './dom.js';
import { clockTime } from './format.js';
import { named, t } from './i18n.js';
import { copyButton, field, keyOf } from './dialog.js';

// Returns a panel. `source` asks the server: `qr(signal)`, `picture(signal)` and `code(phone, key)`.
// `ended(failure)` hears that there are no more codes, and `check()` reads whether the attempt is
// over, because a request for a code would begin another one. `methods` has `qr` and `code`.
export function pairingPanel(source, { methods = ['qr', 'code'], phone = '', signal }) {
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort(), { once: true });
  const panels = { qr: qrPanel(source, stop.signal), code: codePanel(source, phone, stop.signal) };
  const tabs = Object.fromEntries(methods.map((name) => [name,
    el('button', { type: 'button', role: 'tab', id: 'tab-' + name, 'aria-controls': 'panel-' + name, onclick: () => open(name) }, t('link.tab.' + name))]));
  const bar = el('div.tabs', { role: 'tablist', 'aria-label': t('link.how'), onkeydown(event) {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    const other = methods.find((name) => tabs[name].getAttribute('aria-selected') !== 'true');
    if (other) { open(other); tabs[other].focus(); }
  } }, Object.values(tabs));
  const element = el('div.pairing', {}, methods.length > 1 ? bar : null, methods.map((name) => panels[name].element));
  function open(name) {
    for (const key of methods) {
      tabs[key].setAttribute('aria-selected', String(key === name));
      tabs[key].tabIndex = key === name ? 0 : -1;
      panels[key].element.hidden = key !== name;
      panels[key].active(key === name);
    }
  }
  open(methods[0]);
  return { element, stop: () => stop.abort(), isOpen: () => !stop.signal.aborted };
}

// Returns a ring that counts down to a time of the server. Screen readers hear 30 and 10 seconds.
function countdown(signal) {
  let [ends, total, timer] = [0, 1, null];
  const text = el('b');
  const element = el('span.ring', { 'aria-hidden': 'true' }, text);
  function tick() {
    const left = Math.max(0, ends - serverNow());
    const seconds = Math.ceil(left / 1000);
    element.style.setProperty('--part', String(left / total));
    fill(text, String(seconds));
    if ((seconds === 30 || seconds === 10) && element.isConnected) announce(t('link.seconds', { seconds }));
    if (left <= 0 || signal.aborted) clearInterval(timer);
  }
  return {
    element,
    until(time) {
      clearInterval(timer);
      [ends, total] = [time, Math.max(1, time - serverNow())];
      tick();
      timer = setInterval(tick, 1000);
    },
  };
}

function qrPanel(source, signal) {
  const picture = el('div.qr');
  const ring = countdown(signal);
  const caption = el('p.dim', {}, t('link.qr.waiting'));
  const steps = el('ol.steps', {}, ['link.step.1', 'link.step.2', 'link.step.3'].map((key) => el('li', {}, t(key))));
  const element = el('div.panel', { id: 'panel-qr', role: 'tabpanel', 'aria-labelledby': 'tab-qr' },
    el('div.qr-side', {}, picture, el('div.count', {}, ring.element, caption)), steps);
  let [isActive, running, address] = [false, false, null];
  fill(picture, el('span.spinner'));

  async function run() {
    let [shown, last] = [null, false];
    while (!signal.aborted && isActive) {
      // Codes are few: ten attempts an hour. A page that nobody sees asks for none.
      if (document.hidden || last) {
        await whenVisible(signal);
        await source.check();
        if (last) await sleep(2000, signal);
        if (last || signal.aborted) continue;
      }
      try {
        const code = (await source.qr(signal)).data;
        if (code.code !== shown) {
          const { response } = await source.picture(signal);
          URL.revokeObjectURL(address);
          address = URL.createObjectURL(await response.blob());
          fill(picture, el('img', { src: address, alt: t('link.qr.alt') }));
          shown = code.code;
          ring.until(code.expiresAt);
          fill(caption, t('link.qr.attempt', { attempt: code.attempt, attempts: code.attempts }));
        }
        await sleep(Math.max(500, code.expiresAt - serverNow()), signal);
        last = code.attempt >= code.attempts;
      } catch (failure) {
        if (signal.aborted) return;
        if (failure.status === 404 || failure.status === 503 || failure.status === 0) {
          fill(picture, el('span.spinner'));
          fill(caption, failure.status === 404 ? t('link.qr.waiting') : explain(failure));
          shown = null;
          await sleep((failure.retryAfter ?? 3) * 1000, signal);
        } else {
          return source.ended(failure);
        }
      }
    }
  }

  signal.addEventListener('abort', () => URL.revokeObjectURL(address), { once: true });
  return {
    element,
    async active(value) {
      isActive = value;
      if (!value || running) return;
      running = true;
      await run();
      running = false;
    },
  };
}

function codePanel(source, phone, signal) {
  const keys = keyOf();
  const ring = countdown(signal);
  const output = el('div.code', { 'aria-live': 'polite' });
  const number = field({ name: 'phone', label: t('link.code.number'), hint: t('link.code.hint'), type: 'tel',
    inputmode: 'tel', autocomplete: 'tel', value: phone ? '+' + phone : '', readonly: Boolean(phone) });
  const fault = number.querySelector('.fault');
  const submit = el('button.primary', { type: 'submit' }, t('link.code.get'));
  const form = el('form', { novalidate: true, onsubmit: ask }, number, submit);
  async function ask(event) {
    event?.preventDefault();
    if (submit.getAttribute('aria-busy')) return;
    const digits = form.elements.phone.value.replace(/[\s()+.\-\u2066-\u2069]/g, '');
    fault.hidden = true;
    if (!/^[1-9]\d{6,14}$/.test(digits)) {
      fill(fault, t('link.code.bad')).hidden = false;
      form.elements.phone.setAttribute('aria-invalid', 'true');
      return form.elements.phone.focus();
    }
    form.elements.phone.removeAttribute('aria-invalid');
    submit.setAttribute('aria-busy', 'true');
    try {
      const { data } = await source.code(digits, keys.for({ digits, minute: Math.floor(Date.now() / 60_000) }));
      fill(output, el('p', {}, t('link.code.type')),
        el('output', {}, data.code.split('-').map((part) => el('b', {}, part))),
        el('div.count', {}, ring.element, copyButton(data.code)),
        el('ol.steps', {}, ['link.step.1', 'link.code.step.2', 'link.code.step.3'].map((key) => el('li', {}, t(key)))));
      ring.until(data.expiresAt);
      fill(submit, t('link.code.again'));
    } catch (failure) {
      keys.settle(failure);
      if (failure.status === 409) source.ended(failure);
      else fill(fault, retryText(failure)).hidden = false;
    }
    submit.removeAttribute('aria-busy');
  }
  const element = el('div.panel', { id: 'panel-code', role: 'tabpanel', 'aria-labelledby': 'tab-code', hidden: true }, form, output);
  return { element, active(value) { if (value && !phone) queueMicrotask(() => form.elements.phone.focus()); } };
}

// Returns the text for a refusal, with the time at which the user may try again.
export function retryText(failure) {
  if (failure.code !== 'rate_limited' || !failure.retryAfter) return explain(failure);
  return t('link.limited', { time: clockTime(Date.now() + failure.retryAfter * 1000) });
}

// Returns what the user reads when an attempt is over: a title, an explanation and its tone.
export function ending(status, reason, failure) {
  if (status === 'working') return { title: t('link.done'), text: '', kind: 'good' };
  if (failure?.status === 429) return { title: t('link.limited.title'), text: retryText(failure), kind: 'neutral' };
  const code = reason?.code;
  if (code === 'pairing_expired') return { title: t('link.expired'), text: t('link.expired.text'), kind: 'neutral', again: true };
  if (code === 'passkey_required') return { title: t('link.passkey'), text: t('link.passkey.text'), kind: 'bad' };
  if (code) return { title: t('link.failed'), text: `${named('reason.', code)}. ${named('advice.', code) === code ? reason.message : named('advice.', code)}`, kind: 'bad', again: true };
  if (failure) return { title: t('link.failed'), text: retryText(failure), kind: 'bad', again: true };
  return { title: t('link.stopped'), text: t('link.stopped.text'), kind: 'neutral', again: true };
}

// Returns the element of an ending, with a heading of the level that the page needs.
export function endingElement(heading, { title, text, kind }, ...more) {
  return el('div.ending.' + kind, { role: 'status', tabindex: '-1' }, el(heading, {}, title), text && el('p', {}, text), more);
}
