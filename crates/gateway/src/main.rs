//! `berth-gateway`: starts a node and stops it when asked, or when its router is gone.

use std::{io::Read as _, process::ExitCode};

use gateway::{Args, Node, telemetry};
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("berth-gateway: {error}");
            return ExitCode::from(2); // as for a flag that does not exist
        }
    };
    // Before there is any other thread, for each has its own.
    let nice_result = nice(args.nice);
    let _log = match telemetry::start(args.log.as_deref(), args.log_format) {
        Ok(log) => log,
        Err(error) => {
            tracing::error!(%error, "BERTH_LOG cannot be read");
            return ExitCode::FAILURE;
        }
    };
    Args::warn_of_unknown_variables();
    if let Err(error) = nice_result {
        tracing::warn!(%error, "the node stands back for nobody");
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(args));
            runtime.shutdown_background(); // what does not end by itself ends with the process
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the node cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    raise_open_files();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stdin_closed = args.end_with_stdin.then(end_of_stdin);
    let node = Node::start(args.settings(Args::token()?)?).await?;
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
    };
    tracing::info!(cause, "stopping");
    node.stop().await;
    Ok(())
}

/// A socket a session: what a shell allows by default is too little for a few thousand.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Fires when standard input ends. On a thread of its own: a read cannot be called off.
fn end_of_stdin() -> oneshot::Receiver<()> {
    let (closed, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut discarded = [0; 1024];
        while std::io::stdin().read(&mut discarded).is_ok_and(|read| read > 0) {}
        let _ = closed.send(());
    });
    end
}
