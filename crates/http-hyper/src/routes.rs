//! Routes from method and path to a row of a table.
//!
//! `{session}:logout` and `{session}` may coexist because the longest suffix wins. A segment with a
//! colon that no row has is no route, so that an unknown verb is *not found* for every caller.
//! `%3A` is not the colon of a verb but a character of an id, and no id contains it.

use hyper::{Method, header::HeaderValue};
use percent_encoding::percent_decode_str;

use crate::response::problem::{Problem, Result};

/// The routes to the rows of a table.
pub(crate) struct Routes<T> {
    tree: matchit::Router<usize>,
    entries: Vec<RouteEntry<T>>,
}

struct RouteEntry<T> {
    template: &'static str,
    methods: Vec<(Method, T)>,
    allow: HeaderValue,
}

/// The result of a lookup.
#[derive(Debug)]
pub(crate) enum RouteMatch<T> {
    /// A row, with the path parameters.
    Row(T, PathParameters),
    /// An OPTIONS request, with the value of `Allow`.
    Options(HeaderValue),
}

/// The decoded values of the variable segments of a path, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathParameters(Vec<(String, String)>);

impl PathParameters {
    /// Returns a parameter. A value that is not UTF-8 after decoding is empty, which no id matches.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl<T: Copy> Routes<T> {
    /// Creates the routes of a table that is a constant of the program.
    pub(crate) fn of(rows: impl IntoIterator<Item = (Method, &'static str, T)>) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "such tables are constant, and every test creates their routes"
        )]
        Self::new(rows).expect("the templates of a table are distinct")
    }

    /// Creates the routes of a table of methods, templates and rows.
    ///
    /// # Errors
    /// Two templates match the same paths.
    fn new(
        rows: impl IntoIterator<Item = (Method, &'static str, T)>,
    ) -> Result<Self, matchit::InsertError> {
        let mut entries: Vec<RouteEntry<T>> = Vec::new();
        for (method, template, row) in rows {
            match entries.iter_mut().find(|entry| entry.template == template) {
                Some(entry) => entry.methods.push((method, row)),
                None => entries.push(RouteEntry {
                    template,
                    methods: vec![(method, row)],
                    allow: HeaderValue::from_static(""),
                }),
            }
        }
        let mut tree = matchit::Router::new();
        for (index, entry) in entries.iter_mut().enumerate() {
            tree.insert(entry.template, index)?;
            entry.allow = allow(&entry.methods);
        }
        Ok(Self { tree, entries })
    }

    /// Returns the row of a request. HEAD uses the row of GET.
    ///
    /// # Errors
    /// [`Problem::NoRoute`], or [`Problem::MethodNotAllowed`] when the path has other methods.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<RouteMatch<T>> {
        let matched = self.tree.at(path).map_err(|_| Problem::NoRoute)?;
        if matched.params.iter().any(|(_, value)| value.contains(':')) {
            return Err(Problem::NoRoute);
        }
        let entry = self.entries.get(*matched.value).ok_or(Problem::NoRoute)?;
        let spec = if method == Method::HEAD { &Method::GET } else { method };
        if let Some((_, row)) = entry.methods.iter().find(|(known, _)| known == spec) {
            let decoded = matched.params.iter().map(|(name, value)| {
                let value = percent_decode_str(value).decode_utf8();
                (name.to_owned(), value.map_or_else(|_| String::new(), Into::into))
            });
            return Ok(RouteMatch::Row(*row, PathParameters(decoded.collect())));
        }
        if method == Method::OPTIONS {
            return Ok(RouteMatch::Options(entry.allow.clone()));
        }
        Err(Problem::MethodNotAllowed { allow: entry.allow.clone() })
    }
}

fn allow<T>(methods: &[(Method, T)]) -> HeaderValue {
    let mut names: Vec<_> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes<&'static str> {
        Routes::new([
            (Method::GET, "/s/{session}", "view"),
            (Method::DELETE, "/s/{session}", "delete"),
            (Method::POST, "/s/{session}:logout", "logout"),
            (Method::GET, "/s/{session}/qr", "qr"),
        ])
        .unwrap()
    }

    fn row(method: &Method, path: &str) -> Option<(&'static str, String)> {
        match routes().find(method, path) {
            Ok(RouteMatch::Row(row, parameters)) => {
                Some((row, parameters.get("session").to_owned()))
            }
            _ => None,
        }
    }

    #[test]
    fn verb_is_distinct_from_id() {
        assert_eq!(row(&Method::POST, "/s/x:logout"), Some(("logout", "x".to_owned())));
        assert_eq!(row(&Method::HEAD, "/s/x"), Some(("view", "x".to_owned())));
        assert_eq!(row(&Method::GET, "/s/x%3Alogout"), Some(("view", "x:logout".to_owned())));
        assert_eq!(row(&Method::GET, "/s/x/qr"), Some(("qr", "x".to_owned())));
    }

    #[test]
    fn path_outside_the_table_has_no_route() {
        for path in ["/s", "/s/", "/s/x/", "/s/x:bogus", "/s/:logout", "/s//qr", "/s/x:a:logout"] {
            let matched = routes().find(&Method::POST, path);
            assert!(matches!(matched, Err(Problem::NoRoute)), "{path} {matched:?}");
        }
    }

    #[test]
    fn parameter_that_is_not_utf8_is_empty() {
        assert_eq!(row(&Method::GET, "/s/%ff%fe"), Some(("view", String::new())));
        assert_eq!(row(&Method::GET, "/s/%zz"), Some(("view", "%zz".to_owned())));
    }

    #[test]
    fn other_methods_are_rejected_with_allow() {
        let Err(Problem::MethodNotAllowed { allow }) = routes().find(&Method::PUT, "/s/x") else {
            panic!("PUT is allowed");
        };
        assert_eq!(allow, "DELETE, GET, HEAD, OPTIONS");
        let Ok(RouteMatch::Options(allow)) = routes().find(&Method::OPTIONS, "/s/x:logout") else {
            panic!("OPTIONS is not answered");
        };
        assert_eq!(allow, "OPTIONS, POST");
    }
}
