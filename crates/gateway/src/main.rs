//! `berth-gateway`: starts a node, and stops it on a signal or when standard input closes.

use std::{io::Read as _, process::ExitCode};

use gateway::{Args, Node, telemetry};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use service_notify::ServiceManager;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("berth-gateway: {error}");
            return ExitCode::from(2); // the exit code of clap for an unknown flag
        }
    };
    // Linux keeps a nice value for each thread; new threads inherit it, so this call precedes them.
    let nice_result = nice(args.nice);
    let _log = match telemetry::start(args.log.as_deref(), args.log_format) {
        Ok(log) => log,
        Err(error) => {
            tracing::error!(%error, "cannot parse BERTH_LOG");
            return ExitCode::FAILURE;
        }
    };
    Args::warn_of_unknown_variables();
    if let Err(error) = nice_result {
        tracing::warn!(%error, "cannot set the nice value");
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(args));
            // tasks that do not end on their own end with the process
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "node failed");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    raise_open_files();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stdin_closed = args.end_with_stdin.then(end_of_stdin);
    let manager = ServiceManager::of_process();
    let node = Node::start(args.settings(Args::token()?)?).await?;
    manager.ready("listening");
    let stdin_closed = async {
        match stdin_closed {
            Some(end) => drop(end.await),
            None => std::future::pending().await,
        }
    };
    let cause = tokio::select! {
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "terminated",
        () = stdin_closed => "standard input closed",
        () = report_status(&manager, &node) => "reports ended",
    };
    manager.stopping();
    tracing::info!(cause, "stopping");
    node.stop().await;
    Ok(())
}

/// Reports to the service manager that the node is alive, for ever. The counts lock the sessions, so that
/// the watchdog also ends a node whose sessions are locked for ever.
async fn report_status(manager: &ServiceManager, node: &Node) {
    loop {
        let (sessions, working) = node.session_counts();
        manager.alive(&format!("{sessions} sessions, {working} working"));
        tokio::time::sleep(manager.interval()).await;
    }
}

/// Raises the soft limit of open files to the hard limit. Each session needs a socket; the default
/// limit of a shell is too low for a few thousand sessions.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Fires when standard input ends. The read runs on a thread of its own, because it cannot be
/// cancelled.
fn end_of_stdin() -> oneshot::Receiver<()> {
    let (closed, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut discarded = [0; 1024];
        while std::io::stdin().read(&mut discarded).is_ok_and(|read| read > 0) {}
        let _ = closed.send(());
    });
    end
}
