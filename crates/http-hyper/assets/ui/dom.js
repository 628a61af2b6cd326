// Builds elements. Hostile text enters the document here alone, always as text nodes.

// Returns an element: `tag.class.class`, properties or attributes, `onclick` and the like as
// listeners, and children, of which empty ones are left out.
export function el(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(key.slice(2), value);
    else if (key === 'value' || key === 'className') node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

export function button(text, onclick, kind = '') {
  return el('button' + kind, { type: 'button', onclick }, text);
}

// Returns a link within the pages, which `app.js` follows without loading the document.
export function link(path, ...children) {
  return el('a', { href: path }, ...children);
}

let announcements = [];

// Tells assistive technology what changed: at most one message every two seconds, with the newest
// two sentences.
export function announce(text) {
  if (!announcements.length) {
    setTimeout(() => {
      // A modal dialog hides the rest of the page from assistive technology.
      const inDialog = [...document.querySelectorAll('dialog[open] > [role=status]')].at(-1);
      (inDialog ?? document.getElementById('status')).textContent = announcements.slice(-2).join(' ');
      announcements = [];
    }, announce.next > Date.now() ? announce.next - Date.now() : 50);
    announce.next = Date.now() + 2000;
  }
  if (announcements.at(-1) !== text) announcements.push(text);
}

// Returns a wait that ends early when `signal` is aborted.
export function sleep(millis, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, millis);
    signal?.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

// Resolves when the page is visible, at once if it is.
export function whenVisible(signal) {
  return new Promise((resolve) => {
    if (!document.hidden || signal?.aborted) return resolve();
    const check = () => {
      if (document.hidden && !signal?.aborted) return;
      document.removeEventListener('visibilitychange', check);
      resolve();
    };
    document.addEventListener('visibilitychange', check);
    signal?.addEventListener('abort', check, { once: true });
  });
}

// Opens a menu at a button: [text, action, kind] each.
export function openMenu(opener, items) {
  const close = () => menu.hidePopover();
  const menu = el('div.menu', { popover: 'auto', role: 'menu' }, items.filter(Boolean).map(([text, run, kind]) =>
    el('button' + (kind ?? ''), { type: 'button', role: 'menuitem', tabindex: '-1', onclick() { close(); run(); } }, text)));
  menu.addEventListener('keydown', (event) => {
    const all = [...menu.children];
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === 'Tab') close();
    if (!step) return;
    event.preventDefault();
    const next = all.indexOf(document.activeElement) + step;
    all[Number.isFinite(next) ? (next + all.length) % all.length : next < 0 ? 0 : all.length - 1].focus();
  });
  menu.addEventListener('toggle', ({ newState }) => {
    opener.setAttribute('aria-expanded', String(newState === 'open'));
    if (newState !== 'closed') return;
    if (menu.contains(document.activeElement) || document.activeElement === document.body) opener.focus();
    menu.remove();
  });
  // Within a landmark, and gone with the page of the opener.
  (opener.closest?.('main, dialog') ?? document.body).append(menu);
  menu.showPopover();
  const [from, size] = [opener.getBoundingClientRect(), menu.getBoundingClientRect()];
  const below = from.bottom + size.height + 4 < innerHeight;
  menu.style.top = `${below ? from.bottom + 4 : Math.max(4, from.top - size.height - 4)}px`;
  menu.style.left = `${Math.max(8, Math.min(from.right - size.width, innerWidth - size.width - 8))}px`;
  menu.firstChild.focus();
}
