// Times, numbers and statuses as elements.

import { el } from './dom.js';
import { language, named, t } from './i18n.js';

const UNITS = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]];
const formats = {};

function format(name, make) {
  return formats[name] ??= make();
}

// Returns a duration as a distance from now, such as "3 minutes ago".
function relative(millis) {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(millis) >= size) ?? UNITS[3];
  const numbers = format('relative', () =>
    new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' }));
  return unit === 'second' ? numbers.format(0, 'second') : numbers.format(Math.trunc(millis / size), unit);
}

export function fullTime(millis) {
  return format('full', () => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }))
    .format(millis);
}

export function clockTime(millis) {
  return format('clock', () => new Intl.DateTimeFormat(language, { timeStyle: 'medium' })).format(millis);
}

export function shortTime(millis) {
  const today = new Date(millis).toDateString() === new Date().toDateString();
  const short = today ? { timeStyle: 'short' } : { day: 'numeric', month: 'short' };
  return format('short' + today, () => new Intl.DateTimeFormat(language, short)).format(millis);
}

// Returns a time as a distance from now, which stays current.
export function ago(millis) {
  if (millis === null || millis === undefined) return dash();
  const at = new Date(millis);
  const time = el('time', { datetime: at.toISOString(), title: fullTime(at) }, relative(at - Date.now()));
  time.dataset.at = millis;
  return time;
}

setInterval(() => {
  for (const time of document.querySelectorAll('time[data-at]')) {
    const text = relative(time.dataset.at - Date.now());
    if (time.textContent !== text) time.textContent = text;
  }
}, 20_000);

export function at(millis) {
  if (millis === null || millis === undefined) return dash();
  return el('time', { datetime: new Date(millis).toISOString() }, fullTime(millis));
}

export function number(value) {
  if (value === null || value === undefined) return dash();
  return format('number', () => new Intl.NumberFormat(language)).format(value);
}

// Returns a text from elsewhere, whose writing direction cannot affect its surroundings.
export function foreign(text, kind = '') {
  return text === null || text === undefined || text === '' ? dash() : el('bdi' + kind, {}, String(text));
}

export function dash() {
  return el('span.dim.none', {}, el('span', { 'aria-hidden': 'true' }, '–'), el('span.hidden', {}, t('none')));
}

// Returns a phone number as people read it, from digits.
export function phone(digits) {
  return digits ? el('bdi.number', {}, '+' + digits) : dash();
}

// Returns a status as a shape and a word.
export function badge(kind, text) {
  return el('span.badge.' + kind, {}, el('i', { 'aria-hidden': 'true' }), text);
}

export function statusBadge(session) {
  return badge(session.status, named('status.', session.status));
}

// Returns the reason for a status with its beginning; nothing without a reason.
export function reason(session) {
  const { statusReason: why } = session;
  if (!why) return null;
  const retry = why.retryAt > Date.now() ? [' · ', t('session.retry'), ' ', ago(why.retryAt)] : [];
  return el('span.reason', { title: why.message }, named('reason.', why.code), ' · ', ago(why.since), retry);
}

// Returns the name by which people recognize a session.
export function sessionName(session) {
  return session.label || session.pushName || (session.phoneNumber ? '+' + session.phoneNumber : session.id);
}
