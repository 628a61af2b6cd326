//! Tests of the files of a certificate: each fault is named with its file, and no key is shown.

use std::fs;

use super::*;
use crate::testing::TestAuthority;

/// A fault whose message has all of these words.
fn assert_says(error: &CertificateFault, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)) && !text.contains('\n'), "{text}");
}

#[test]
fn pair_is_read_with_its_names_and_its_expiry() {
    let folder = tempfile::tempdir().unwrap();
    let files = TestAuthority::default().write(folder.path(), "a", &["a.example", "127.0.0.1"]);
    let certificate = files.read().unwrap();
    assert_eq!(certificate.expires_at(), "3000-01-01T00:00:00Z");
    for (host, named) in [
        ("a.example", true),
        ("127.0.0.1", true),
        ("b.example", false),
        ("127.0.0.2", false),
        ("[::1]", false),
        ("", false),
    ] {
        assert_eq!(certificate.names(host), named, "{host}");
    }
    assert!(!format!("{certificate:?}").contains("PRIVATE"));
}

#[test]
fn unusable_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = TestAuthority::default().write(folder.path(), "a", &["a.example"]);
    let whole = fs::read_to_string(&files.certificate).unwrap();
    let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, word) in [
        ("", "no certificate in PEM"),
        ("canary", "no certificate in PEM"),
        (&whole[..whole.len() / 2], "invalid certificate"),
        (no_x509, "invalid certificate"),
        (&" ".repeat(1024 * 1024 + 1), "longer than 1 MiB"),
    ] {
        fs::write(&files.certificate, text).unwrap();
        let error = files.read().unwrap_err();
        assert!(matches!(error, CertificateFault::Certificate(_)), "{error:?}");
        assert_says(&error, &["a.pem", word]);
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    fs::remove_file(&files.certificate).unwrap();
    assert_says(&files.read().unwrap_err(), &["a.pem cannot be read", "No such file"]);
}

#[test]
fn unusable_key_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let authority = TestAuthority::default();
    let files = authority.write(folder.path(), "a", &["a.example"]);
    let (_, foreign) = authority.issue(&["a.example"], 3000);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nY2FuYXJ5\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let damaged = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
    for (text, word) in [
        ("", "no private key in PEM"),
        (encrypted, "encrypted"),
        (damaged, "cannot be used"),
        (foreign.as_str(), "does not belong to the first certificate in"),
    ] {
        fs::write(&files.key, text).unwrap();
        let error = files.read().unwrap_err();
        assert!(matches!(error, CertificateFault::Key(_)), "{error:?}");
        assert_says(&error, &["a.key", word]);
        let shown = error.to_string();
        assert!(!shown.contains("canary") && !shown.contains("Y2Fu"), "{shown}");
    }
}

#[test]
fn certificate_with_few_days_has_a_notice() {
    let folder = tempfile::tempdir().unwrap();
    let certificate =
        TestAuthority::default().write(folder.path(), "a", &["a.example"]).read().unwrap();
    let (end, day) = (certificate.not_after.to_unix_duration(), Duration::from_secs(86_400));
    let notice = |before: Duration| certificate.expiry_notice_at(end.checked_sub(before).unwrap());
    assert_eq!(notice(day * 14), None);
    assert!(notice(day * 13 + Duration::from_secs(86_399)).unwrap().contains("expires in 13 days"));
    let expired = certificate.expiry_notice_at(end + Duration::from_secs(1)).unwrap();
    assert_eq!(expired, "the certificate expired at 3000-01-01T00:00:00Z");
    assert_eq!(certificate.days_left_at(end + day), -1);
    let early = certificate.expiry_notice_at(Duration::ZERO).unwrap();
    assert!(early.contains("not valid before"), "{early}");
    assert!(!certificate.is_rejected_now());
}

#[test]
fn expired_certificate_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let authority = TestAuthority::default();
    let files = authority.write(folder.path(), "a", &["a.example"]);
    let (certificate, key) = authority.issue(&["a.example"], 2020);
    fs::write(&files.certificate, certificate).unwrap();
    fs::write(&files.key, key).unwrap();
    let certificate = files.read().unwrap();
    assert!(certificate.is_rejected_now() && certificate.days_left() < 0);
}
