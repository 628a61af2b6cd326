//! `berth-gateway`: starts a node, and stops it on a signal or when standard input closes.

use std::{
    io::{Read as _, Write as _, stdout},
    process::ExitCode,
};

use gateway::{Args, Invocation, Node, NodeCommand, operate, telemetry};
use program_settings::Variables;
use program_telemetry::with_error_priority;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use service_notify::ServiceManager;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

fn main() -> ExitCode {
    let args = match Invocation::read() {
        Ok(Invocation::Run(args)) => *args,
        Ok(Invocation::Command(command)) => {
            return run_command(command).unwrap_or_else(|error| {
                print_error(&format!("berth-gateway: {error:#}"));
                ExitCode::FAILURE
            });
        }
        Err(error) => {
            print_error(&format!("berth-gateway: {error}"));
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
    Variables::of_process().log_warnings();
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

/// Prints an error that precedes the log.
fn print_error(message: &str) {
    eprintln!("{}", with_error_priority(message));
}

/// Runs a command for the operator and prints its result.
fn run_command(command: NodeCommand) -> anyhow::Result<ExitCode> {
    let mut out = stdout();
    match command {
        NodeCommand::Doctor(flags) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = runtime.block_on(operate::doctor(flags.node));
            let text = if flags.json { report.as_json() } else { report.as_text() };
            write!(out, "{text}")?;
            return Ok(ExitCode::from(report.exit_code()));
        }
        NodeCommand::Health(flags) => operate::health(&flags)?,
        NodeCommand::Generate(command) => command.run(gateway::command(), &mut out)?,
        NodeCommand::Backup(flags) => {
            let manifest = operate::back_up(&flags)?;
            let (to, sessions) = (flags.to.display(), manifest.sessions);
            writeln!(out, "{to}: {sessions} sessions, sealed by the key {}", manifest.key)?;
        }
        NodeCommand::Restore(flags) => {
            let (manifest, sessions) = operate::restore(&flags)?;
            let linked = sessions.iter().filter(|session| session.linked).count();
            for session in sessions.iter().filter(|session| !session.linked) {
                writeln!(out, "{}  has no device: link the session anew", session.name)?;
            }
            writeln!(
                out,
                "{}: {linked} of {} sessions have a device and will connect with new message keys. \
                 WhatsApp decides whether a link of the time of the copy ({}) is still valid: a session \
                 that was unlinked or linked anew since then ends as logged_out_by_phone and must be \
                 linked anew. Sessions that the router does not know are listed by `berth orphan list`",
                flags.place.data.display(),
                sessions.len(),
                manifest.time()
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(args: Args) -> anyhow::Result<()> {
    raise_open_files();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stdin_closed = args.end_with_stdin.then(end_of_stdin);
    let manager = ServiceManager::of_process();
    let token = args.token()?;
    let node = Node::start(args.settings(token)?).await?;
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
