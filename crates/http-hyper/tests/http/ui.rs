//! The dashboard's shell and files as the service returns them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
};

use flate2::read::GzDecoder;
use hyper::{HeaderMap, header};

use crate::{
    client::{BOTH, Version, ask, send},
    test_server::TestServer,
    ui_files::{self, literals},
};

const PAGES: [&str; 7] = [
    "/ui",
    "/ui/",
    "/ui/sessions",
    "/ui/sessions/sess_01JGXS1DN00000000000000001",
    "/ui/no/such/page?x=1",
    "/ui/login",
    "/link",
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Returns the shell.
async fn shell(server: &TestServer) -> String {
    let answer = server.ask("", "GET", "/ui/").await;
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Returns the paths in quotation marks that name a file of the build.
fn asset_paths(shell: &str) -> Vec<String> {
    shell.split('"').filter(|text| text.starts_with("/ui/a/")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_page_is_the_same_shell() {
    let server = TestServer::open().await;
    let expected = shell(&server).await;
    for version in BOTH {
        for page in PAGES {
            for caller in ["", "acme", "down"] {
                let answer = server.say(version, caller, "GET", page, None).await;
                assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, expected.as_bytes()));
                assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            }
        }
    }
}

#[tokio::test]
async fn shell_carries_the_policies() {
    let server = TestServer::open().await;
    for page in PAGES {
        let answer = server.ask("", "GET", page).await;
        assert_eq!(answer.header("content-security-policy"), POLICY);
        for (name, value) in [
            ("cache-control", "no-cache"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("vary", "accept-encoding"),
        ] {
            assert_eq!(answer.header(name), value, "{page} {name}");
        }
        assert!(answer.header("permissions-policy").contains("camera=()"));
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn shell_names_files_of_its_build_only() {
    let server = TestServer::open().await;
    // The host of the request appears nowhere.
    let request = ask("GET", "/ui/").header(header::HOST, "attacker.example");
    let forged = send(server.address, Version::One, request, "").await;
    let shell = shell(&server).await;
    assert_eq!(forged.body, shell.as_bytes());
    assert!(!shell.contains("//") && !shell.contains("{hash}"), "{shell}");
    assert!(!shell.contains("<style") && !shell.contains("style="), "{shell}");
    let builds: BTreeSet<_> =
        asset_paths(&shell).iter().map(|path| path.split('/').nth(3).unwrap().to_owned()).collect();
    assert_eq!(builds.len(), 1);
    let build = builds.first().unwrap();
    assert!(build.len() == 12 && build.bytes().all(|it| it.is_ascii_hexdigit()), "{build}");
    assert_eq!(shell.matches("<script").count(), 2);
    assert_eq!(shell.matches("src=\"/ui/a/").count(), 2);
}

/// Returns every file that the shell leads to, by its name below the build.
async fn reachable(server: &TestServer) -> (String, BTreeMap<String, (HeaderMap, String)>) {
    let paths = asset_paths(&shell(server).await);
    let build = paths[0].split('/').nth(3).unwrap().to_owned();
    let prefix = format!("/ui/a/{build}/");
    let mut waiting: Vec<_> =
        paths.iter().map(|path| path.strip_prefix(&prefix).unwrap().to_owned()).collect();
    let mut files = BTreeMap::new();
    while let Some(name) = waiting.pop() {
        if files.contains_key(&name) {
            continue;
        }
        let answer = server.ask("", "GET", &format!("{prefix}{name}")).await;
        assert_eq!(answer.status, 200, "{name}");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        if ui_files::is_script(&name) {
            let imported = literals(&text).into_iter().filter(|text| text.starts_with("./"));
            for module in imported.map(|text| text[2..].to_owned()) {
                match module.split_once("${") {
                    // One of the modules of a folder, or of those with a common ending.
                    Some(("text/", _)) => {
                        waiting.extend(ui_files::LANGUAGES.map(|it| format!("text/{it}.js")));
                    }
                    Some(_) => waiting.extend(ui_files::pages(&text)),
                    None => waiting.push(module),
                }
            }
        }
        files.insert(name, (answer.headers, text));
    }
    (build, files)
}

#[tokio::test]
async fn every_file_is_reachable_and_immutable() {
    let server = TestServer::open().await;
    let (_, files) = reachable(&server).await;
    let stored = ui_files::read();
    let names: Vec<_> = stored.keys().filter(|name| *name != "index.html").collect();
    assert_eq!(files.keys().collect::<Vec<_>>(), names, "files that no page uses, or missing ones");
    for (name, (headers, text)) in &files {
        assert_eq!(text, &stored[name], "{name}");
        let content_type = match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(headers["content-type"], content_type, "{name}");
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable", "{name}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{name}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{name}");
        assert_eq!(headers["vary"], "accept-encoding", "{name}");
    }
}

#[tokio::test]
async fn files_are_compressed_and_revalidated() {
    let server = TestServer::open().await;
    let (build, files) = reachable(&server).await;
    for (name, (_, text)) in &files {
        let path = format!("/ui/a/{build}/{name}");
        let packed = ask("GET", &path).header("accept-encoding", "gzip");
        let packed = send(server.address, Version::Two, packed, "").await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{name}");
        let mut unpacked = String::new();
        GzDecoder::new(&packed.body[..]).read_to_string(&mut unpacked).unwrap();
        assert_eq!(&unpacked, text, "{name}");
        let again = ask("GET", &path).header("accept-encoding", "gzip");
        let again = again.header("if-none-match", packed.header("etag"));
        let again = send(server.address, Version::Two, again, "").await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{name}");
    }
}

#[tokio::test]
async fn file_outside_the_build_is_not_found() {
    let server = TestServer::open().await;
    let (build, _) = reachable(&server).await;
    for path in [
        "/ui/a/000000000000/app.js".to_owned(),
        format!("/ui/a/{build}/index.html"),
        format!("/ui/a/{build}/none.js"),
        format!("/ui/a/{build}/text/"),
        format!("/ui/a/{build}/..%2fapp.js"),
        format!("/ui/a/{build}/%2e%2e/%2e%2e/docs.html"),
    ] {
        let answer = server.ask("", "GET", &path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{path}");
        answer.assert_well_formed(&path);
    }
    for path in ["/ui/", "/ui/sessions", "/link"] {
        let answer = server.ask("", "POST", path).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, OPTIONS"));
    }
}
