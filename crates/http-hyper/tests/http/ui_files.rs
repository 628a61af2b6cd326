//! The dashboard's files as they are stored: sizes, texts in every language, and the constructs
//! that the files avoid.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/ui");
pub(crate) const LANGUAGES: [&str; 4] = ["en", "pt-BR", "es", "id"];

/// The modules that the shell preloads: every page needs them.
const CORE: [&str; 8] =
    ["app.js", "api.js", "dom.js", "format.js", "i18n.js", "live.js", "dialog.js", "scheme.js"];
/// Maximum sizes in bytes, without compression: all modules of code, the modules that a page loads,
/// one language, and the style sheet.
const MAX_CODE: usize = 128_000;
const MAX_PAGE: usize = 66_000;
const MAX_LANGUAGE: usize = 24_000;
const MAX_STYLE: usize = 19_000;

/// Returns the files by their paths below the folder.
pub(crate) fn read() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (folder, prefix) in [(FOLDER.to_owned(), ""), (format!("{FOLDER}/text"), "text/")] {
        for entry in fs::read_dir(Path::new(&folder)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let name = entry.file_name().into_string().unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                files.insert(format!("{prefix}{name}"), text);
            }
        }
    }
    files
}

/// Returns whether a file is a module.
pub(crate) fn is_script(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "js")
}

/// Returns the modules of code, without the texts.
fn code() -> BTreeMap<String, String> {
    let mut files = read();
    files.retain(|name, _| is_script(name) && !name.starts_with("text/"));
    files
}

/// Returns the modules of the pages that the table of `app.js` names.
pub(crate) fn pages(app: &str) -> Vec<String> {
    let rows = app.lines().filter(|line| line.trim_start().starts_with("[/^"));
    rows.map(|row| format!("{}.js", literals(row)[0])).collect()
}

/// Returns the string literals of a script, without their quotation marks.
pub(crate) fn literals(script: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in script.lines() {
        let mut open: Option<(char, String)> = None;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match &mut open {
                None if character == '/' && characters.peek() == Some(&'/') => break,
                None if ['\'', '"', '`'].contains(&character) => {
                    open = Some((character, String::new()));
                }
                None => {}
                Some((mark, text)) if character == *mark => {
                    found.push(std::mem::take(text));
                    open = None;
                }
                Some((_, text)) => {
                    text.push(character);
                    if character == '\\' {
                        text.extend(characters.next());
                    }
                }
            }
        }
        assert!(open.is_none(), "a literal does not end on its line: {line}");
    }
    found
}

/// Returns the texts of a language by their keys.
fn texts(language: &str) -> BTreeMap<String, String> {
    let module = read().remove(&format!("text/{language}.js")).unwrap();
    let entries = module.lines().filter(|line| line.starts_with("  "));
    let mut texts = BTreeMap::new();
    for line in entries {
        let parts = literals(line);
        let [key, text] = &parts[..] else {
            panic!("{language}: not one key and one text: {line}")
        };
        assert!(!text.trim().is_empty(), "{language}: {key} is empty");
        assert!(texts.insert(key.clone(), text.clone()).is_none(), "{language}: {key} twice");
    }
    texts
}

/// Returns the names in braces of a text, sorted.
fn parameters(text: &str) -> Vec<&str> {
    let mut names: Vec<_> =
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
    names.sort_unstable();
    names
}

#[test]
fn every_language_has_every_text() {
    let english = texts("en");
    for language in LANGUAGES {
        let other = texts(language);
        assert_eq!(
            other.keys().collect::<Vec<_>>(),
            english.keys().collect::<Vec<_>>(),
            "{language}"
        );
        for (key, text) in &other {
            assert_eq!(parameters(text), parameters(&english[key]), "{language}: {key}");
        }
    }
    let same = |language| {
        let other = texts(language);
        english.iter().filter(|(key, text)| other[*key] == **text && text.contains(' ')).count()
    };
    for language in ["pt-BR", "es", "id"] {
        assert!(same(language) < 6, "{language} has {} English sentences", same(language));
    }
}

/// Returns whether a literal of the code stands for a key: the key itself, a beginning that ends
/// with a dot, or a template with a gap.
fn stands_for(literal: &str, key: &str) -> bool {
    match literal.split_once("${") {
        Some((start, rest)) => {
            let end = rest.rsplit('}').next().unwrap_or_default();
            start.ends_with('.') && key.starts_with(start) && key.ends_with(end)
        }
        None => literal == key || literal.ends_with('.') && key.starts_with(literal),
    }
}

#[test]
fn every_text_is_used_and_every_used_text_exists() {
    let english = texts("en");
    let code = code();
    let all: Vec<_> = code.values().flat_map(|script| literals(script)).collect();
    for key in english.keys() {
        assert!(all.iter().any(|literal| stands_for(literal, key)), "no page uses {key}");
    }
    for (name, script) in &code {
        for (before, _) in script.match_indices("t('") {
            let is_call = !script[..before].ends_with(|it: char| it.is_alphanumeric() || it == '.');
            let key = script[before + 3..].split('\'').next().unwrap();
            if is_call && !key.ends_with('.') {
                assert!(english.contains_key(key), "{name} uses {key}, which does not exist");
            }
        }
    }
}

#[test]
fn code_has_no_texts_of_its_own() {
    // Names of keys of a keyboard, and of languages in themselves.
    let names = [
        "Tab",
        "Escape",
        "Enter",
        "Home",
        "End",
        "English",
        "Español",
        "Português (Brasil)",
        "Bahasa Indonesia",
    ];
    for (name, script) in code() {
        let selectors = ["querySelector('", "querySelectorAll('", "closest?.('"];
        for literal in literals(&script) {
            let is_selector =
                selectors.iter().any(|start| script.contains(&format!("{start}{literal}'")));
            // Expressions within a template are code.
            let text = literal.split("${").next().unwrap_or_default();
            let parts: Vec<_> = text.split(' ').collect();
            let is_word = |text: &&str| {
                text.chars().count() > 1
                    && text.chars().all(|it| it.is_alphabetic() || "',.".contains(it))
            };
            let is_sentence = parts.windows(2).any(|pair| pair.iter().all(is_word));
            let mut letters = literal.chars();
            let is_title = letters.next().is_some_and(char::is_uppercase)
                && literal.len() > 1
                && letters.all(char::is_lowercase);
            let is_text = (is_sentence || is_title) && !is_selector;
            assert!(!is_text || names.contains(&literal.as_str()), "{name}: {literal:?} is text");
        }
    }
}

#[test]
fn files_avoid_markup_and_inline_styles() {
    for (name, text) in read() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "style=\"",
            "setAttribute('style",
            "srcdoc",
            "http://",
            "https://",
            "javascript:",
            " onclick=",
            "cssText",
            "createPolicy",
            "@import",
            "url(",
        ] {
            let namespace = name == "icon.svg" && forbidden == "http://";
            assert!(namespace || !text.contains(forbidden), "{name} contains {forbidden}");
        }
        // The texts of a language are one list, which no division makes easier to read.
        assert!(name.starts_with("text/") || text.lines().count() < 400, "{name} has 400 lines");
        if is_script(&name) {
            assert!(text.starts_with("// "), "{name} does not begin with its purpose");
        }
    }
}

/// Returns the modules that a page loads: the core, the page, and what the page imports.
fn modules_of<'a>(files: &'a BTreeMap<String, String>, page: &'a str) -> BTreeSet<&'a str> {
    let mut modules: BTreeSet<_> = CORE.into_iter().collect();
    let mut waiting = vec![page];
    while let Some(name) = waiting.pop() {
        if modules.insert(name) {
            let imports = files[name].lines().filter(|line| line.contains(" from './"));
            waiting.extend(imports.filter_map(|line| line.split("'./").nth(1)?.split('\'').next()));
        }
    }
    modules
}

#[test]
fn files_stay_within_their_budget() {
    let files = read();
    let size = |name: &str| files[name].len();
    let all: usize = code().values().map(String::len).sum();
    assert!(all <= MAX_CODE, "all modules have {all} bytes");
    for page in pages(&files["app.js"]).iter().map(String::as_str).chain(["login.js", "link.js"]) {
        let modules = modules_of(&files, page);
        let loaded: usize = modules.iter().map(|name| size(name)).sum();
        assert!(loaded <= MAX_PAGE, "{page} loads {loaded} bytes: {modules:?}");
    }
    assert!(size("ui.css") <= MAX_STYLE, "the style sheet has {} bytes", size("ui.css"));
    for language in LANGUAGES {
        let size = size(&format!("text/{language}.js"));
        assert!(size <= MAX_LANGUAGE, "{language} has {size} bytes");
    }
    // Before the first paint, a browser loads the shell, the style sheet and the scheme alone.
    let shell = &files["index.html"];
    let blocking =
        shell.matches("rel=\"stylesheet\"").count() + shell.matches("<script src=").count();
    assert_eq!(blocking, 2);
    for module in CORE.iter().filter(|name| !["app.js", "scheme.js"].contains(name)) {
        assert!(
            shell.contains(&format!("modulepreload\" href=\"/ui/a/{{hash}}/{module}\"")),
            "{module}"
        );
    }
}
