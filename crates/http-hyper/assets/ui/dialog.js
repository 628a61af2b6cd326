// Dialogs, forms and messages. The browser returns the focus to the opener of a dialog.

import { Failure, explain, newKey } from './api.js';
import { announce, button, el, fill } from './dom.js';
import { t } from './i18n.js';

let serial = 0;

// Opens a modal dialog. `guard` may keep it open by returning false. Returns `{ body, close }`.
export function openDialog(title, { guard, closed, kind = '' } = {}) {
  const id = `dialog-${++serial}`;
  const opener = document.activeElement;
  const body = el('div.dialog-body');
  const close = () => dialog.close();
  const ask = () => { if (!guard || guard() !== false) close(); };
  const dialog = el('dialog' + kind, { 'aria-labelledby': id },
    el('header', {}, el('h2', { id }, title),
      el('button.icon', { type: 'button', 'aria-label': t('close'), onclick: ask }, '✕')),
    body, el('div.hidden', { role: 'status' }));
  dialog.addEventListener('cancel', (event) => { event.preventDefault(); ask(); });
  // A browser closes at the second Escape whatever the page says; the keydown comes first.
  dialog.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { event.preventDefault(); ask(); }
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    // The row of the opener may be gone.
    if (!opener?.isConnected) document.querySelector('main h1')?.focus();
    closed?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { body, close, dialog };
}

// Returns a labelled control with its hint and its fault.
export function field({ name, label, type = 'text', value = '', hint, options, ...attributes }) {
  const id = `field-${++serial}`;
  const fault = el('p.fault', { id: id + '-fault', hidden: true });
  const described = [hint && id + '-hint', id + '-fault'].filter(Boolean).join(' ');
  const common = { id, name, 'aria-describedby': described, ...attributes };
  const hints = hint && el('p.hint', { id: id + '-hint' }, hint);
  if (type === 'checkbox') {
    const box = el('input', { ...common, type, checked: Boolean(value) });
    return el('div.field.check', {}, el('label', { for: id }, box, ' ', label), hints, fault);
  }
  if (type === 'checks') {
    const boxes = options.map(([key, text, checked, disabled]) => el('label', {},
      el('input', { type: 'checkbox', name, value: key, checked, disabled }), ' ', text));
    return el('fieldset.field', { 'aria-describedby': described }, el('legend', {}, label), boxes, hints, fault);
  }
  let control;
  if (type === 'select') {
    control = el('select', common, options.map(([key, text]) =>
      el('option', { value: key, selected: key === value }, text)));
  } else if (type === 'textarea') control = el('textarea', { rows: 3, ...common, value });
  else control = el('input', { ...common, type, value });
  return el('div.field', {}, el('label', { for: id }, label), control, hints, fault);
}

// Returns the values of a form; a group of boxes is a list.
export function values(form) {
  const result = {};
  for (const control of form.elements) {
    if (!control.name) continue;
    if (control.type === 'checkbox' && form.querySelectorAll(`[name="${control.name}"]`).length > 1) {
      (result[control.name] ??= []).push(...(control.checked ? [control.value] : []));
    } else if (control.type === 'checkbox') {
      result[control.name] = control.checked;
    } else {
      result[control.name] = control.value;
    }
  }
  return result;
}

// Shows a failure within a form: faults at their fields, the rest above the buttons.
export function showFailure(form, failure) {
  for (const fault of form.querySelectorAll('.fault')) fill(fault).hidden = true;
  for (const control of form.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid');
  const output = form.querySelector('.form-error');
  fill(output).hidden = !failure;
  if (!failure) return;
  const rest = (failure.details?.fields ?? []).filter(({ pointer, reason }) => {
    const control = form.elements.namedItem((pointer ?? '').split('/')[1] ?? '');
    const fault = (control?.closest?.('.field') ?? control?.[0]?.closest('.field'))?.querySelector('.fault');
    if (!fault) return true;
    fill(fault, reason).hidden = false;
    control.setAttribute?.('aria-invalid', 'true');
    return false;
  });
  const named = failure.details?.fields?.length && !rest.length;
  fill(output, named ? t('error.fields') : explain(failure));
  output.focus?.();
}

// Returns a function that yields an idempotency key for a body: the same key while the outcome of
// the body is unknown, and a new one for another body or after an answer.
export function keyOf() {
  let [key, sent] = [newKey(), null];
  return {
    for(body) {
      const text = JSON.stringify(body);
      if (sent !== null && sent !== text) key = newKey();
      sent = text;
      return key;
    },
    settle(failure) {
      if (failure instanceof Failure && failure.status > 0 && failure.status < 500) sent = '';
    },
  };
}

// Opens a dialog with a form. `run(values, key)` does the work; a failure shows in the dialog, and
// what was typed stays.
export function formDialog({ title, intro, fields = [], submit, danger, run, done, valid }) {
  const keys = keyOf();
  let isRunning = false;
  const { body, close, dialog } = openDialog(title, { guard: () => !isRunning });
  const confirm = el('button' + (danger ? '.danger' : '.primary'), { type: 'submit' }, submit);
  const form = el('form', { novalidate: true },
    intro && el('div.intro', {}, intro), fields.map((spec) => spec.nodeType ? spec : field(spec)),
    el('p.form-error', { role: 'alert', hidden: true, tabindex: '-1' }),
    el('footer', {}, button(t('cancel'), () => isRunning || close()), confirm));
  const check = () => { confirm.disabled = Boolean(valid && !valid(values(form))); };
  form.addEventListener('input', check);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (isRunning || confirm.disabled) return;
    isRunning = true;
    confirm.setAttribute('aria-busy', 'true');
    showFailure(form, null);
    const typed = values(form);
    try {
      const result = await run(typed, keys.for(typed));
      isRunning = false;
      close();
      done?.(result);
    } catch (failure) {
      keys.settle(failure);
      showFailure(form, failure);
    }
    isRunning = false;
    confirm.removeAttribute('aria-busy');
  });
  body.append(form);
  check();
  (form.querySelector('input:not([type=checkbox]),select,textarea') ?? confirm).focus();
  return dialog;
}

// Shows a message at the edge of the page. Failures stay until they are closed.
export function notify(text, kind = '') {
  let list = document.getElementById('messages');
  if (!list) document.body.append(list = el('div', { id: 'messages', popover: 'manual' }));
  const message = el('div.message' + kind, { role: kind ? 'alert' : null }, el('span', {}, text),
    el('button.icon', { type: 'button', 'aria-label': t('close'), onclick: () => drop() }, '✕'));
  const drop = () => { message.remove(); if (!list.childElementCount) list.hidePopover?.(); };
  list.append(message);
  // Shown anew, so that the list is above a dialog that was opened meanwhile.
  list.hidePopover?.();
  list.showPopover?.();
  if (kind) return;
  announce(text);
  setTimeout(drop, 5000);
}

// Runs the action of a button. A second click does nothing until the first one has ended.
export async function act(control, work, said) {
  if (control?.getAttribute('aria-busy')) return;
  control?.setAttribute('aria-busy', 'true');
  try {
    const result = await work();
    if (said) notify(said);
    return result;
  } catch (failure) {
    notify(explain(failure), '.bad');
  } finally {
    control?.removeAttribute('aria-busy');
  }
}

// Returns a button that copies a text.
export function copyButton(text, label = t('copy')) {
  const copy = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text);
      notify(t('copied'));
    } catch {
      notify(t('copy.failed'), '.bad');
    }
  }, '.small');
  copy.setAttribute('aria-label', `${label}: ${text}`);
  return copy;
}
