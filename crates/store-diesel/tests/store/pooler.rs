//! Tests with PgBouncer, where PgBouncer is installed: session mode works, transaction mode is
//! rejected.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use store_diesel::{Config, Database, StoreError};

use crate::place::TestDatabase;

/// A running PgBouncer in a folder of its own; stopped on drop.
struct PgBouncer {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts PgBouncer in front of a database; `None` where PgBouncer is not installed.
async fn pgbouncer(test_db: &TestDatabase, mode: &str) -> Option<PgBouncer> {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
    let program = program.into_iter().find(|path| std::path::Path::new(path).exists())?;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pgbouncer.ini");
    let users = folder.path().join("users.txt");
    let url = test_db.url();
    let server: tokio_postgres::Config = url.parse().expect("a URL");
    let user = server.get_user().expect("a user");
    let password = server.get_password().map(String::from_utf8_lossy).unwrap_or_default();
    std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).expect("written");
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
         pool_mode = {mode}\ndefault_pool_size = 30\n",
        test_db.port(),
        users.display(),
    );
    std::fs::write(&file, settings).expect("written");
    let mut command = Command::new(program);
    command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    // PgBouncer refuses to run as root.
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
    {
        let lent = 65_534;
        for path in [folder.path(), &file, &users] {
            std::os::unix::fs::chown(path, Some(lent), Some(lent)).expect("lent");
        }
        command.uid(lent).gid(lent);
    }
    let process = command.spawn().expect("it starts");
    let mut pgbouncer_process = PgBouncer { process, port, _folder: folder };
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        let ended = pgbouncer_process.process.try_wait().expect("its state");
        assert!(ended.is_none(), "PgBouncer ended: {ended:?}");
        tokio::task::yield_now().await;
    }
    Some(pgbouncer_process)
}

#[tokio::test(flavor = "multi_thread")]
async fn pooler_in_session_mode_works() {
    let test_db = TestDatabase::postgres().await;
    let Some(pgbouncer_process) = pgbouncer(&test_db, "session").await else { return };
    let url = test_db.url_at("127.0.0.1", pgbouncer_process.port, "sslmode=disable");
    let store = Database::connect(&Config::new(url)).await.expect("it opens");
    store.ping(domain::Timestamp::from_millis(1)).await.expect("it takes writes");
    let scope = crate::outage::scope();
    let missing = domain::SessionId::from_bits(1);
    let found = domain::ports::SessionStore::find(&store, &scope, &missing).await;
    assert_eq!(found.expect("served"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn pooler_in_transaction_mode_is_rejected() {
    let test_db = TestDatabase::postgres().await;
    let Some(pgbouncer_process) = pgbouncer(&test_db, "transaction").await else { return };
    let url = test_db.url_at("127.0.0.1", pgbouncer_process.port, "sslmode=disable");
    let refused = Database::connect(&Config::new(url)).await.expect_err("it is refused");
    assert!(matches!(refused, StoreError::Pooled), "{refused:?}");
}
