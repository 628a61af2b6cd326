//! Import cycles between the files of a crate.
//!
//! A module may use its own submodules, and they may use the module. Every other pair of files must
//! depend on each other in one direction at most, directly and through further files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::modules::{Modules, file_of};

/// The imports of one crate: from a file to the files it names, each with the names.
type Imports = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// Returns one text for each set of files that import each other.
pub(super) fn find(modules: &Modules) -> Vec<String> {
    let imports = imports(modules);
    let mut cycles: Vec<BTreeSet<&Path>> = Vec::new();
    for file in imports.keys() {
        if cycles.iter().any(|cycle| cycle.contains(file.as_path())) {
            continue;
        }
        let there = reached(&imports, file);
        let cycle: BTreeSet<_> =
            there.into_iter().filter(|other| reached(&imports, other).contains(&**file)).collect();
        if cycle.len() > 1 {
            cycles.push(cycle);
        }
    }
    cycles.iter().map(|cycle| described(&imports, cycle)).collect()
}

fn imports(modules: &Modules) -> Imports {
    let mut imports = Imports::new();
    for (path, module) in modules {
        for named in &module.paths {
            let Some(file) = file_of(modules, named) else { continue };
            let below =
                modules.iter().any(|(other, found)| found.file == file && other.starts_with(path));
            if file != module.file && !below {
                let files = imports.entry(module.file.clone()).or_default();
                let names = files.entry(file.to_owned()).or_default();
                names.extend(named.last().cloned());
            }
        }
    }
    imports
}

/// Returns every file that a file imports, directly or through others.
fn reached<'a>(imports: &'a Imports, from: &Path) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = imports.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(file) = open.pop() {
        if found.insert(file.as_path()) {
            open.extend(imports.get(file).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}

fn described(imports: &Imports, cycle: &BTreeSet<&Path>) -> String {
    let mut text = format!("{} files import each other:", cycle.len());
    for from in cycle {
        for (to, names) in imports.get(*from).into_iter().flatten() {
            if cycle.contains(to.as_path()) {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let _ = write!(
                    text,
                    "\n  {} -> {} ({})",
                    from.display(),
                    to.display(),
                    names.join(", ")
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::modules, *};

    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let text = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        find(&modules::read(Path::new("lib.rs"), &text).unwrap())
    }

    #[test]
    fn files_that_import_each_other_are_found_through_a_third() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B; use crate::d::D; pub struct A;"),
            ("b.rs", "pub struct B; fn f() { crate::c::g() }"),
            ("c.rs", "pub fn g() { let _ = super::a::A; }"),
            ("d.rs", "pub struct D;"),
        ]);
        assert_eq!(
            found,
            [
                "3 files import each other:\n  a.rs -> b.rs (B)\n  b.rs -> c.rs (g)\n  c.rs -> a.rs (A)"
            ]
        );
    }

    #[test]
    fn module_and_its_submodules_may_use_each_other() {
        let found = cycles(&[
            ("lib.rs", "mod a; pub use self::a::one::One; pub struct Error;"),
            ("a.rs", "mod one; use self::one::One; pub struct Shared;"),
            ("a/one.rs", "use super::Shared; use crate::Error; pub struct One;"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn imports_of_tests_do_not_count() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
