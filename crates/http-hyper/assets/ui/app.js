// Starts the pages: language, login check, frame with navigation, and the route of each path.

import { Failure, can, explain, findShareLinks, get, onSignedOut, post, remove, whoami } from './api.js';
import { announce, button, el, fill, link } from './dom.js';
import { formDialog, notify, openDialog } from './dialog.js';
import { foreign } from './format.js';
import { language, languages, loadLanguage, store, stored, t } from './i18n.js';
import { join, onLive, reloadOtherTabs, startLive } from './live.js';

// Each page: path, module, entry of the navigation, and who sees it.
const PAGES = [
  [/^\/ui\/sessions$/, 'sessions', '/ui/sessions', 'nav.sessions', can.manage],
  [/^\/ui\/sessions\/([^/]+)$/, 'session', '/ui/sessions'],
  [/^\/ui\/chats$/, 'chats', '/ui/chats', 'nav.chats', () => can.has('read')],
  [/^\/ui\/chats\/([^/]+)(?:\/([^/]+))?$/, 'chats', '/ui/chats'],
  [/^\/ui\/webhooks$/, 'webhooks', '/ui/webhooks', 'nav.webhooks', can.manageAll],
  [/^\/ui\/webhooks\/([^/]+)$/, 'webhook', '/ui/webhooks'],
  [/^\/ui\/keys$/, 'keys', '/ui/keys', 'nav.keys', can.manageAll],
  [/^\/ui\/events$/, 'events', '/ui/events', 'nav.events', () => can.manage() || can.has('read')],
  [/^\/ui\/audit$/, 'audit', '/ui/audit', 'nav.audit', can.manageAll],
  [/^\/ui\/admin\/sessions$/, 'admin', '/ui/admin/sessions', 'nav.admin.sessions', can.operate],
  [/^\/ui\/admin\/gateways$/, 'gateways', '/ui/admin/gateways', 'nav.admin.gateways', can.operate],
];

const app = document.getElementById('app');
let leave = new AbortController();
let main;
let rights;
let closeLogin;

async function start() {
  await loadLanguage();
  document.addEventListener('click', followLink);
  addEventListener('popstate', () => main && show());
  // A page that the browser kept in memory may be of a login that has ended.
  addEventListener('pageshow', ({ persisted }) => { if (persisted) location.reload(); });
  addEventListener('unhandledrejection', ({ reason }) => {
    if (reason?.name !== 'AbortError') notify(explain(reason), '.bad');
  });
  if (location.pathname === '/link') return (await import('./link.js')).default(app);
  try {
    await whoami();
    onSignedOut(() => signIn('ended'));
  } catch (failure) {
    if (failure.status === 401) return signIn();
    return frameless(failure);
  }
  if (location.pathname.startsWith('/ui/login')) return navigate('/ui/', true);
  if (can.manage()) await findShareLinks();
  frame();
  rights = await readRights();
  // A login without an organization has no events.
  startLive(loginChanged, can.any());
  show();
}

// Shows the login. The path stays, so that the page of the path opens after the login. A login that
// ends leaves the page as it is, below a dialog: what was typed stays.
async function signIn(why) {
  const { default: login } = await import('./login.js');
  if (!main) return login(app, why);
  if (closeLogin) return;
  const { body, close } = openDialog(t('login.title'), { guard: () => false });
  closeLogin = close;
  login(body, why, loginChanged);
}

async function readRights(again) {
  const { organizationId, capabilities, sessions, platformRole } = await whoami(again);
  return JSON.stringify([organizationId, capabilities, sessions, platformRole]);
}

// After a login here or in another tab, a page with the same rights continues. With other rights,
// everything of the old login leaves the memory of the page with the document.
async function loginChanged() {
  const next = await readRights(true).catch(() => null);
  if (next === null || next !== rights) return location.reload();
  closeLogin?.();
  closeLogin = null;
  join();
}

function frameless(failure) {
  fill(app, el('main.center', {}, el('h1', {}, t('error.title')), el('p', {}, explain(failure)),
    button(t('retry'), () => location.reload(), '.primary')));
  app.removeAttribute('aria-busy');
}

// Builds the navigation, which stays while pages change.
function frame() {
  const links = PAGES.filter((page) => page[4]?.()).map(([, , path, key]) => link(path, t(key)));
  const live = el('span.live', { hidden: !can.any() });
  onLive(({ state }) => {
    if (!state) return;
    live.className = 'live ' + state;
    fill(live, el('i', { 'aria-hidden': 'true' }), t('live.' + state));
    if (state === 'lost') announce(t('live.lost'));
  });
  main = el('main', { id: 'main', tabindex: '-1' });
  const nav = el('nav', { 'aria-label': t('nav') }, links);
  const toggle = el('button.icon.burger', { type: 'button', 'aria-label': t('nav'), 'aria-expanded': 'false', onclick() {
    toggle.setAttribute('aria-expanded', String(document.body.classList.toggle('nav-open')));
  } }, '☰');
  fill(app, el('a.skip', { href: '#main' }, t('skip')),
    el('header.top', {}, toggle, el('a.brand', { href: '/ui/' }, 'berth'), live),
    el('aside', {}, nav, el('div.account', {}, account(), choices())), main);
  app.removeAttribute('aria-busy');
}

function account() {
  const box = el('div');
  whoami().then((me) => fill(box, el('p', {}, foreign(me.organizationId ?? t('platform'))),
    el('p.dim', { title: me.subject }, foreign(me.subject)), button(t('logout'), signOut, '.small'),
    me.kind === 'api_key' ? null : switcher(box)));
  return box;
}

// Offers the other organizations of the login, if there are any.
function switcher(box) {
  get('/auth/session').then(({ data }) => {
    if (!data?.organizations?.some((id) => id !== data.organization)) return;
    box.append(button(t('organization.switch'), () => formDialog({
      title: t('organization.switch'),
      submit: t('organization.switch'),
      fields: [{ name: 'organization', label: t('organization'), type: 'select', value: data.organization,
        options: data.organizations.map((id) => [id, id]) }],
      run: (body) => post('/auth/session:switch', body),
      // Everything of the old organization leaves the memory of the page with the document.
      done() { reloadOtherTabs(); location.assign('/ui/'); },
    }), '.small'));
  }).catch(() => {});
  return null;
}

async function signOut() {
  try {
    await remove('/auth/session');
  } catch (failure) {
    if (failure.status !== 401) return notify(explain(failure), '.bad');
  }
  reloadOtherTabs();
  location.assign('/ui/login');
}

// Returns the choices of language and colour scheme.
export function choices() {
  const tongue = el('select', { 'aria-label': t('language'), onchange() {
    store('language', tongue.value);
    location.reload();
  } }, languages.map(([tag, name]) => el('option', { value: tag, lang: tag, selected: tag === language }, name)));
  const scheme = el('select', { 'aria-label': t('scheme'), onchange() {
    store('scheme', scheme.value);
    if (scheme.value) document.documentElement.dataset.scheme = scheme.value;
    else delete document.documentElement.dataset.scheme;
  } }, [['', 'scheme.system'], ['light', 'scheme.light'], ['dark', 'scheme.dark']].map(([value, key]) =>
    el('option', { value, selected: value === (stored('scheme') ?? '') }, t(key))));
  return el('div.choices', {}, tongue, scheme);
}

export function navigate(path, replace) {
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  if (!main) return start();
  show();
}

function followLink(event) {
  const anchor = event.target.closest?.('a[href]');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!anchor || !plain || event.defaultPrevented || anchor.target || anchor.origin !== location.origin) return;
  if (!anchor.pathname.startsWith('/ui') || anchor.getAttribute('href').startsWith('#')) return;
  event.preventDefault();
  navigate(anchor.pathname + anchor.search);
}

// Shows the page of the current path.
async function show() {
  leave.abort();
  leave = new AbortController();
  document.body.classList.remove('nav-open');
  const { signal } = leave;
  const path = location.pathname.replace(/\/$/, '');
  const first = PAGES.find((page) => page[4]?.());
  if (path === '/ui' && first) return navigate(first[2], true);
  const page = PAGES.find(([pattern]) => pattern.test(path));
  for (const anchor of document.querySelectorAll('nav a')) {
    if (page && anchor.getAttribute('href') === page[2]) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
  // Each navigation gets a content of its own, so that a page that was left writes nowhere.
  const content = el('div.page');
  const view = { content, signal, title: (text) => setTitle(content, text) };
  fill(main, content);
  scrollTo(0, 0);
  if (!page || (!first && path === '/ui')) {
    if (!first) switcher(content);
    return nothing(content, first ? 'missing.' : 'no_access.');
  }
  try {
    const parts = path.match(page[0]).slice(1).map((part) => part && decodeURIComponent(part));
    const module = await import(`./${page[1]}.js`).catch(outdated);
    if (!signal.aborted) await module.default(view, ...parts);
  } catch (failure) {
    if (signal.aborted) return;
    if (failure instanceof Failure && failure.status === 404) return nothing(content, 'missing.');
    fill(content, el('h1', { tabindex: '-1' }, t('error.title')), el('p', { role: 'alert' }, explain(failure)),
      button(t('retry'), show, '.primary'));
  }
}

// A module of an older build is gone after an upgrade of the server: the document loads anew, once.
function outdated(error) {
  if (sessionStorage.getItem('berth.reloaded') === location.href) throw error;
  sessionStorage.setItem('berth.reloaded', location.href);
  location.reload();
  return new Promise(() => {});
}

// One page for what does not exist, what was deleted and what belongs to others.
function nothing(content, key) {
  fill(content, el('h1', { tabindex: '-1' }, t(key + 'title')), el('p', {}, t(key + 'text')),
    key === 'missing.' ? link('/ui/', t('missing.back')) : null);
  setTitle(content);
}

function setTitle(content, text) {
  const heading = content.querySelector('h1');
  document.title = `${text ?? heading?.textContent ?? ''} · berth`;
  if (heading && !document.querySelector('dialog') && !content.contains(document.activeElement)) {
    heading.setAttribute('tabindex', '-1');
    heading.focus({ preventScroll: true });
  }
}

start().catch(frameless);
