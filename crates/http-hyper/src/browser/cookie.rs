//! Cookies: their names, how requests carry them and how responses set them.
//!
//! A cookie of https has the prefix `__Host-`, so that browsers accept it from this host alone, and with
//! `Secure` and `Path=/` alone. Browsers differ about `Secure` on plain http, so that a cookie of a
//! loopback URL has neither.

use std::time::Duration;

use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use super::public_url::PublicUrl;

/// A kind of cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieSpec {
    /// The name over https, which begins with `__Host-`.
    host_name: &'static str,
    /// The name over plain http on a loopback address.
    plain_name: &'static str,
    same_site: &'static str,
}

impl CookieSpec {
    /// Returns a cookie that only requests of pages of this service carry.
    pub(crate) const fn strict(host_name: &'static str, plain_name: &'static str) -> Self {
        Self { host_name, plain_name, same_site: "Strict" }
    }

    /// Returns a cookie that the navigation from another site carries, too.
    pub(crate) const fn lax(host_name: &'static str, plain_name: &'static str) -> Self {
        Self { host_name, plain_name, same_site: "Lax" }
    }

    /// Returns the name of the cookie at a public URL.
    pub(crate) const fn name(&self, is_secure: bool) -> &'static str {
        if is_secure { self.host_name } else { self.plain_name }
    }

    /// Returns the value of the cookie in a request; `None` without the cookie, and for two cookies of
    /// the name, because the choice between them would be a guess.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap, url: &PublicUrl) -> Option<&'a str> {
        let name = self.name(url.is_secure());
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        let mut values =
            pairs.filter(|(given, _)| given.trim() == name).map(|(_, value)| value.trim());
        values.next().filter(|_| values.next().is_none())
    }

    /// Returns the `Set-Cookie` that sets a value for a time. The value must be base64url.
    pub(crate) fn set(
        &self,
        url: &PublicUrl,
        value: &str,
        max_age: Duration,
    ) -> Option<HeaderValue> {
        let secure = if url.is_secure() { "; Secure" } else { "" };
        let (name, same_site, seconds) =
            (self.name(url.is_secure()), self.same_site, max_age.as_secs());
        let text = format!(
            "{name}={value}; Max-Age={seconds}; Path=/{secure}; HttpOnly; SameSite={same_site}"
        );
        HeaderValue::try_from(text).ok()
    }

    /// Returns the `Set-Cookie` that removes the cookie.
    pub(crate) fn clear(&self, url: &PublicUrl) -> Option<HeaderValue> {
        self.set(url, "", Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: CookieSpec = CookieSpec::strict("__Host-berth", "berth");

    fn urls() -> [PublicUrl; 2] {
        ["https://berth.example", "http://localhost:8080"].map(|url| PublicUrl::parse(url).unwrap())
    }

    fn read(lines: &[&'static str]) -> [Option<String>; 2] {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        urls().map(|url| COOKIE.read(&headers, &url).map(str::to_owned))
    }

    #[test]
    fn cookie_has_one_name_at_a_url() {
        let (secure, plain) = (Some("a".to_owned()), Some("b".to_owned()));
        assert_eq!(read(&["__Host-berth=a; berth=b"]), [secure.clone(), plain.clone()]);
        assert_eq!(read(&["x=y;__Host-berth=a", "berth=b;z=1"]), [secure.clone(), plain.clone()]);
        assert_eq!(read(&["__host-berth=a; Berth=b; berthx=c; xberth=d; berth"]), [None, None]);
        assert_eq!(read(&["__Host-berth=a; berth=b; berth=c"]), [secure, None]);
        assert_eq!(read(&["berth=b", "__Host-berth=a;__Host-berth=a"]), [None, plain]);
        assert_eq!(read(&[]), [None, None]);
    }

    #[test]
    fn cookie_is_hidden_from_scripts_and_other_sites() {
        let set = |url: &PublicUrl| COOKIE.set(url, "v", Duration::from_hours(1)).unwrap();
        let [secure, plain] = urls();
        assert_eq!(
            set(&secure),
            "__Host-berth=v; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(set(&plain), "berth=v; Max-Age=3600; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(
            COOKIE.clear(&secure).unwrap(),
            "__Host-berth=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
        let lax =
            CookieSpec::lax("__Host-x", "x").set(&secure, "v", Duration::from_secs(9)).unwrap();
        assert_eq!(lax, "__Host-x=v; Max-Age=9; Path=/; Secure; HttpOnly; SameSite=Lax");
    }
}
