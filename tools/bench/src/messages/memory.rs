//! The memory of a node whose sessions have active chats.

use std::{iter, time::Duration};

use anyhow::{Context as _, Result};
use testbed::{
    client::Api, parallel::run_on_threads, phones::Phone, resident::Resident, stack::Stack,
};

use super::{
    TEXT,
    streamed::{self, ExpectedMessages},
};
use crate::{
    Setup,
    aim::Aim,
    figure::{ComparedFigure, Findings, shown},
    large_node,
    linked_sessions::LinkedSessions,
    spread::{float, number},
};

/// The limit of the engine's lanes in a session: `chat_lanes_capacity` in
/// `crates/gateway/src/connection.rs`.
pub(super) const LANE_LIMIT: usize = 256;
/// Active chats of each session.
const CHATS: [usize; 2] = [10, 100];
/// Sessions that link, and contacts that write, at the same time.
const SIDE_BY_SIDE: usize = 8;
/// Texts in each chat.
const TEXTS: usize = 2;
/// Upper bound of linking, and of the texts of all chats.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Target of the kB of a session with ten active chats.
const AIM: Aim = Aim::AtMost(1024.0);

/// Runs the measurement.
pub(super) fn measure(setup: &Setup, found: &mut Findings) -> Result<()> {
    let sessions = setup.size.node_sessions;
    let settings = [("BERTH_LOG", "warn".to_owned()), ("BERTH_SESSION_QUOTA", "0".to_owned())];
    let stack = large_node::start(setup, "bench-active", sessions, &settings)?;
    measure_in(&stack, sessions, found).with_context(|| stack.tail())
}

fn measure_in(stack: &Stack, sessions: usize, found: &mut Findings) -> Result<()> {
    let node = large_node::process_of(stack)?;
    let idle = Resident::settled(node)?;
    println!("  linking {sessions} sessions");
    let api = stack.api.with_credential(Some(stack.key("bench", &["read", "manage"])?));
    let linked = LinkedSessions::link(stack, &api, sessions, SIDE_BY_SIDE, PATIENCE)?;
    let most = CHATS.iter().copied().max().unwrap_or_default();
    let contacts = iter::repeat_with(|| stack.phones.new_phone("Contact")).take(most);
    let contacts = contacts.collect::<Result<Vec<_>>>()?;
    let mut memory = vec![(0, Resident::settled(node)?)];
    for chats in CHATS {
        println!("  {chats} chats in each of {sessions} sessions");
        write(&api, &linked, &contacts[..chats])?;
        memory.push((chats, Resident::settled(node)?));
    }
    for (chats, resident) in memory {
        let each = float(resident.all.saturating_sub(idle.all)) / float(sessions as u64);
        let title = format!("node, kB a session: {} sessions with {chats} chats", shown(sessions));
        found.figures.push(ComparedFigure::new(title, 0, &[each], &[])?);
        let sentence = format!("A session with {chats} active chats: {} kB", number(each, 0));
        if chats == CHATS[0] {
            found.sentences.push(AIM.judge(each, &sentence, 0));
        } else if chats > 0 {
            let limit = format!("the engine has at most {LANE_LIMIT} lanes in a session");
            found.sentences.push(format!("{sentence}; {limit}."));
        }
    }
    Ok(())
}

/// Lets each contact write to every session, and waits until the stream has told all texts.
fn write(api: &Api, sessions: &LinkedSessions, contacts: &[Phone]) -> Result<()> {
    let expected =
        ExpectedMessages { received: sessions.count() * contacts.len() * TEXTS, sent: 0 };
    let texts: Vec<_> = (0..TEXTS).map(|number| format!("{number} {TEXT}")).collect();
    let write = || {
        run_on_threads(SIDE_BY_SIDE, |which| {
            for contact in contacts.iter().skip(which).step_by(SIDE_BY_SIDE) {
                for phone in sessions.phones() {
                    contact.send_texts(&phone.number, &texts)?;
                }
            }
            Ok(Vec::<()>::new())
        })
    };
    streamed::follow(api, expected, PATIENCE, write).map(drop)
}
