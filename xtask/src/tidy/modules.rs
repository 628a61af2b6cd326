//! The modules of a crate as its sources declare them: items, re-exports and the paths they name.
//!
//! Test code is left out: items marked `#[cfg(test)]` and the files of such modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use proc_macro2::{Group, TokenTree};
use rust_tokens::{Tokens, braced, ident, is};

/// The path of a module below the crate root; empty for the root.
pub(super) type ModulePath = Vec<String>;

/// One module, in a file of its own or inline.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// The file of the module, relative to the crate.
    pub(super) file: PathBuf,
    /// Names of the items that the module defines.
    pub(super) items: BTreeSet<String>,
    /// Names that the module re-exports, with their absolute paths.
    pub(super) exports: BTreeMap<String, ModulePath>,
    /// Absolute paths of the modules that the module re-exports as `*`.
    pub(super) globs: Vec<ModulePath>,
    /// Absolute paths that the code of the module names.
    pub(super) paths: BTreeSet<ModulePath>,
}

/// The modules of one crate by path.
pub(super) type Modules = BTreeMap<ModulePath, Module>;

/// One leaf of a `use` declaration.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    path: ModulePath,
    /// The name in this module; `None` for `*`.
    name: Option<String>,
}

/// Words before the name of an item.
const KEYWORDS: [&str; 9] =
    ["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"];

/// Reads the module tree below a root file. `read` returns the text of a file, or `None` when there
/// is no such file.
pub(super) fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Result<Modules> {
    let mut modules = Modules::new();
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    let mut reader = Reader { read, modules: &mut modules };
    reader.file(root, &folder, Vec::new())?;
    Ok(modules)
}

struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    modules: &'a mut Modules,
}

impl Reader<'_> {
    /// `folder` holds the files of the module's children.
    fn file(&mut self, file: &Path, folder: &Path, path: ModulePath) -> Result<()> {
        let text = (self.read)(file).with_context(|| format!("no file {}", file.display()))?;
        let tokens = Tokens::read(&text).with_context(|| file.display().to_string())?;
        self.module(tokens.as_slice(), file, folder, path)
    }

    fn module(
        &mut self,
        tokens: &[TokenTree],
        file: &Path,
        folder: &Path,
        path: ModulePath,
    ) -> Result<()> {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        let mut at = 0;
        while at < tokens.len() {
            let word = ident(&tokens[at]).unwrap_or_default();
            let name = tokens.get(at + 1).and_then(ident);
            if word == "use" {
                let end = end_of(tokens, at);
                module.import(&tokens[at + 1..end], is_public(tokens, at), &path);
                at = end;
            } else if word == "mod"
                && let Some(name) = name
            {
                let child = [&path[..], std::slice::from_ref(&name)].concat();
                if let Some(body) = tokens.get(at + 2).and_then(braced) {
                    let body = Tokens::of_items(body);
                    self.module(body.as_slice(), file, &folder.join(&name), child)?;
                } else if let Some((file, folder)) = self.child(tokens, at, folder, &name) {
                    self.file(&file, &folder, child)?;
                }
                at += 2;
            } else if word == "macro_rules" {
                module.items.extend(tokens.get(at + 2).and_then(ident));
                at += 2;
            } else {
                if KEYWORDS.contains(&word.as_str()) {
                    module.items.extend(name);
                }
                module.mention(tokens, at, &path);
                at += 1;
            }
        }
        self.modules.insert(path, module);
        Ok(())
    }

    /// The file of `mod name;` and the folder of its children.
    fn child(
        &self,
        tokens: &[TokenTree],
        at: usize,
        folder: &Path,
        name: &str,
    ) -> Option<(PathBuf, PathBuf)> {
        let named = tokens[..at].iter().rev().take(3).find_map(path_attribute);
        if let Some(named) = named {
            let file = folder.join(named);
            let children = file.parent()?.to_owned();
            return Some((file, children));
        }
        let (file, children) = (folder.join(name).with_extension("rs"), folder.join(name));
        let inner = children.join("mod.rs");
        let file = if (self.read)(&file).is_some() { file } else { inner };
        (self.read)(&file).map(|_| (file, children))
    }
}

impl Module {
    fn import(&mut self, tree: &[TokenTree], public: bool, path: &ModulePath) {
        for Import { path: target, name } in imports(tree) {
            let Some(target) = absolute(&target, path) else { continue };
            match name.filter(|_| public) {
                Some(name) => drop(self.exports.insert(name, target.clone())),
                None if public => self.globs.push(target.clone()),
                None => {}
            }
            self.paths.insert(target);
        }
    }

    /// Records the path that begins at this token, and those inside a group.
    fn mention(&mut self, tokens: &[TokenTree], at: usize, path: &ModulePath) {
        if let TokenTree::Group(group) = &tokens[at] {
            return self.mention_all(group, path);
        }
        let begins = ident(&tokens[at])
            .is_some_and(|word| ["crate", "self", "super"].contains(&word.as_str()));
        let inside = at > 0 && is(&tokens[at - 1], ':');
        if !begins || inside {
            return;
        }
        let (mut named, mut at) = (vec![ident(&tokens[at]).unwrap_or_default()], at + 1);
        while let [colon, other, TokenTree::Ident(word), ..] = &tokens[at..]
            && is(colon, ':')
            && is(other, ':')
        {
            named.push(word.to_string());
            at += 3;
        }
        if named.len() > 1 {
            self.paths.extend(absolute(&named, path));
        }
    }

    fn mention_all(&mut self, group: &Group, path: &ModulePath) {
        let tokens: Vec<_> = group.stream().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if ident(&tokens[at]).as_deref() == Some("use") {
                let end = end_of(&tokens, at);
                self.import(&tokens[at + 1..end], false, path);
                at = end;
            } else {
                self.mention(&tokens, at, path);
                at += 1;
            }
        }
    }
}

/// The absolute form of a path that a module names; `None` for a path into another crate or to a
/// name that is in scope.
fn absolute(named: &[String], module: &ModulePath) -> Option<ModulePath> {
    let mut base = match named.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.clone(),
        _ => return None,
    };
    let mut rest = &named[1..];
    if named[0] == "super" {
        base.pop();
    }
    while rest.first().is_some_and(|word| word == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The index of the semicolon that ends a declaration.
fn end_of(tokens: &[TokenTree], at: usize) -> usize {
    tokens[at..].iter().position(|token| is(token, ';')).map_or(tokens.len(), |end| at + end)
}

/// Whether `pub` or `pub(…)` precedes this token.
fn is_public(tokens: &[TokenTree], at: usize) -> bool {
    let is_pub = |back: usize| {
        let before = at.checked_sub(back).and_then(|at| ident(&tokens[at]));
        before.as_deref() == Some("pub")
    };
    let in_parentheses = at > 0 && matches!(tokens[at - 1], TokenTree::Group(_));
    is_pub(1) || (in_parentheses && is_pub(2))
}

/// The leaves of a `use` tree.
fn imports(tree: &[TokenTree]) -> Vec<Import> {
    let mut path = Vec::new();
    let mut at = 0;
    while let Some(token) = tree.get(at) {
        match token {
            TokenTree::Ident(word) if word == "as" => {
                return vec![Import { path, name: tree.get(at + 1).and_then(ident) }];
            }
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let branches = inner.split(|token| is(token, ','));
                let leaves = branches.filter(|branch| !branch.is_empty()).flat_map(imports);
                return leaves.map(|leaf| leaf.below(&path)).collect();
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' => {
                return vec![Import { path, name: None }];
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
    let name = path.last().cloned();
    vec![Import { path, name }]
}

impl Import {
    /// The same leaf of a tree that begins with this path.
    fn below(self, path: &ModulePath) -> Self {
        let mut whole = [&path[..], &self.path[..]].concat();
        if whole.last().is_some_and(|word| word == "self") && whole.len() > 1 {
            whole.pop(); // `a::{self, b}`
        }
        let name = match self.name {
            Some(name) if name == "self" => whole.last().cloned(),
            name => name,
        };
        Self { path: whole, name }
    }
}

/// The value of `#[path = "…"]`.
fn path_attribute(token: &TokenTree) -> Option<String> {
    let TokenTree::Group(group) = token else { return None };
    let tokens: Vec<_> = group.stream().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(word), _, TokenTree::Literal(text)] if word == "path" => {
            Some(text.to_string().trim_matches('"').to_owned())
        }
        _ => None,
    }
}

/// The file that defines what an absolute path names: the module with the item, or the module where
/// the search ends. Re-exports are followed.
pub(super) fn file_of<'a>(modules: &'a Modules, path: &[String]) -> Option<&'a Path> {
    module_of(modules, path, 8).map(|module| module.file.as_path())
}

fn module_of<'a>(modules: &'a Modules, path: &[String], depth: usize) -> Option<&'a Module> {
    let mut length = path.len();
    while !modules.contains_key(&path[..length]) {
        length = length.checked_sub(1)?;
    }
    let module = modules.get(&path[..length])?;
    let Some(name) = path.get(length).filter(|_| depth > 0) else { return Some(module) };
    if module.items.contains(name) {
        return Some(module);
    }
    if let Some(target) = module.exports.get(name) {
        let rest = &path[length + 1..];
        return module_of(modules, &[&target[..], rest].concat(), depth - 1);
    }
    let through = module.globs.iter().find_map(|glob| {
        let target = [&glob[..], &path[length..]].concat();
        let found = module_of(modules, &target, depth - 1)?;
        found.items.contains(name).then_some(found)
    });
    Some(through.unwrap_or(module))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> ModulePath {
        path.split("::").filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn crate_of(files: &[(&str, &str)]) -> Modules {
        let text = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        read(Path::new("src/lib.rs"), &text).unwrap()
    }

    #[test]
    fn module_tree_follows_declarations() {
        let modules = crate_of(&[
            ("src/lib.rs", "mod a; mod inline { pub struct I; } #[cfg(test)] mod t;"),
            ("src/a/mod.rs", "mod b; #[path = \"other.rs\"] mod c;"),
            ("src/a/b.rs", "fn f() {}"),
            ("src/a/other.rs", ""),
        ]);
        let paths: Vec<_> = modules.keys().map(|path| path.join("::")).collect();
        assert_eq!(paths, ["", "a", "a::b", "a::c", "inline"]);
        assert_eq!(modules[&segments("a::c")].file, Path::new("src/a/other.rs"));
        assert_eq!(modules[&segments("inline")].file, Path::new("src/lib.rs"));
    }

    #[test]
    fn paths_become_absolute() {
        let text = "use crate::x::{self, y::{A as B, C}, z::*}; use super::D; use std::fmt; \
                    fn f(&self) { self.g(); super::super::e::f(); self::h(); crate::k::K::new() }";
        let modules =
            crate_of(&[("src/lib.rs", "mod a;"), ("src/a.rs", "mod b;"), ("src/a/b.rs", text)]);
        let named: Vec<_> =
            modules[&segments("a::b")].paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(
            named,
            ["a::D", "a::b::h", "e::f", "k::K::new", "x", "x::y::A", "x::y::C", "x::z"]
        );
    }

    #[test]
    fn reexports_lead_to_the_defining_file() {
        let modules = crate_of(&[
            ("src/lib.rs", "mod a; pub use self::a::Deep; pub(crate) use a::*; pub struct Own;"),
            (
                "src/a.rs",
                "mod b; pub(crate) use self::b::{Deep, Renamed as Other}; mod c; pub use self::c::*;",
            ),
            ("src/a/b.rs", "pub struct Deep; pub enum Renamed { One }"),
            ("src/a/c.rs", "pub fn globbed() {}"),
        ]);
        let file = |path: &str| file_of(&modules, &segments(path)).unwrap().display().to_string();
        assert_eq!(file("Deep"), "src/a/b.rs");
        assert_eq!(file("a::Other::One"), "src/a/b.rs");
        assert_eq!(file("a::globbed"), "src/a/c.rs");
        assert_eq!(file("Own::new"), "src/lib.rs");
        assert_eq!(file("a::unknown"), "src/a.rs");
    }
}
