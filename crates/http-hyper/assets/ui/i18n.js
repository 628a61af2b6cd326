// Texts in the language of the user: one module for each language, of which a browser loads one.

const LANGUAGES = { en: 'English', 'pt-BR': 'Português (Brasil)', es: 'Español', id: 'Bahasa Indonesia' };

let texts = {};
export let language = 'en';
export const languages = Object.entries(LANGUAGES);

// Returns a stored choice of the user; null without one, or when the browser has no storage.
export function stored(name) {
  try { return localStorage.getItem('berth.' + name); } catch { return null; }
}

export function store(name, value) {
  try {
    if (value) localStorage.setItem('berth.' + name, value);
    else localStorage.removeItem('berth.' + name);
  } catch { /* The choice lasts as long as the page. */ }
}

// Loads the stored language, or the first one of the browser that exists.
export async function loadLanguage() {
  const asked = [stored('language'), ...navigator.languages].filter(Boolean);
  const match = (tag) => Object.keys(LANGUAGES).find((known) => known === tag)
    ?? Object.keys(LANGUAGES).find((known) => known.split('-')[0] === tag.split('-')[0]);
  language = asked.map(match).find(Boolean) ?? 'en';
  texts = (await import(`./text/${language}.js`)).default;
  document.documentElement.lang = language;
}

// Returns a text with its parameters. Parameters may be hostile text: each is isolated, so that
// its writing direction cannot rearrange the sentence.
export function t(key, parameters = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => `\u2068${parameters[name] ?? ''}\u2069`);
}

// Returns the text for a code of the API; codes of later versions show as they are.
export function named(prefix, code) {
  return texts[prefix + code] ?? String(code ?? '');
}
