// Tables, their pages by cursor, and the places of rows that are still loading.

import { explain } from './api.js';
import { button, el, fill } from './dom.js';
import { t } from './i18n.js';

// Returns a table with its caption; rows go into `body`.
export function table(caption, heads) {
  const body = el('tbody');
  const element = el('table', {}, el('caption.hidden', {}, caption),
    el('thead', {}, el('tr', {}, heads.map((head) =>
      el('th', { scope: 'col' }, head || el('span.hidden', {}, t('actions')))))), body);
  return { element, body };
}

// Returns a row whose cells carry the names of their columns, which narrow screens show.
export function row(heads, cells, attributes) {
  return el('tr', attributes, cells.map((cell, index) =>
    el(heads[index] ? 'td' : 'td.actions', { 'data-label': heads[index] || null }, cell)));
}

export function skeleton(rows, columns) {
  return Array.from({ length: rows }, () => el('tr.skeleton', { 'aria-hidden': 'true' },
    Array.from({ length: columns }, () => el('td', {}, el('span')))));
}

// Returns the buttons "newer" and "older" of a list. `load(cursor)` shows a page and returns the
// cursor of the next one. A list that cannot be read says so, and shows no empty list.
export function pager(load) {
  let [cursors, next] = [[null], null];
  const older = button(t('older'), () => go(() => cursors.push(next)));
  const newer = button(t('newer'), () => go(() => cursors.pop()));
  const fault = el('p.fault', { role: 'alert', hidden: true });
  const nav = el('nav.pager', { 'aria-label': t('pages'), hidden: true }, newer, older);
  const element = el('div', {}, fault, nav);
  let reading = null;
  let again = false;

  async function refresh() {
    if (reading) { again = true; return reading; }
    reading = (async () => {
      do {
        again = false;
        next = await load(cursors.at(-1));
      } while (again);
    })();
    try {
      await reading;
      fault.hidden = true;
    } catch (failure) {
      // A cursor may be of an older server; the list begins anew.
      if (failure.code === 'validation_error' && cursors.length > 1) { cursors = [null]; reading = null; return refresh(); }
      throw failure;
    } finally {
      reading = null;
      nav.hidden = !next && cursors.length === 1;
      older.disabled = !next;
      newer.disabled = cursors.length === 1;
    }
  }

  async function go(step) {
    step();
    await tried();
    document.querySelector('main h1')?.focus();
    scrollTo(0, 0);
  }

  async function tried() {
    try {
      await refresh();
    } catch (failure) {
      if (failure.name === 'AbortError') return;
      fill(fault, explain(failure), ' ', button(t('retry'), tried, '.small')).hidden = false;
    }
  }

  return {
    element,
    refresh: tried,
    start: refresh,
    restart() { cursors = [null]; return tried(); },
    isFirst: () => cursors.length === 1,
  };
}
