//! The use case of a node's delivery: every item is stored once, and the answer says which items
//! the node can remove from its journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    caller::Actor,
    commit::{CommitTarget, Decision, execute},
    error::Result,
    id::{GatewayId, SessionId},
    messaging::{
        change::MessagingCommit,
        draft::Draft,
        journal::{JournalDelivery, JournalFact, JournalItem, JournalName},
        state::{ChatNameText, MessagingLookup, MessagingState},
        turns::{MessagingTurns, Turn},
    },
    ports::{
        environment::Environment,
        error::{BoxError, PortError},
        notify::{Notification, Notifier},
        store::{messaging::MessagingStore, written::Written},
    },
};

/// Ports of [`Journals`].
#[derive(Clone)]
pub struct JournalPorts {
    /// Store of the messages of all organizations.
    pub store: Arc<dyn MessagingStore>,
    /// Clock and id generator.
    pub environment: Arc<dyn Environment>,
    /// Wakes streams, webhooks and the requests that wait for a message.
    pub notifier: Arc<dyn Notifier>,
    /// Turns of the changes of this process.
    pub turns: MessagingTurns,
}

/// Use cases of the journals of nodes.
#[derive(Clone)]
pub struct Journals {
    ports: JournalPorts,
}

/// The result of a delivery. A session in no part must be delivered again.
#[derive(Debug, Default)]
pub struct TakenJournal {
    /// The sequence number of each session through which every item is stored.
    pub through: BTreeMap<SessionId, u64>,
    /// Sessions that are deleted or belong to another node. Their items are dropped.
    pub gone: BTreeSet<SessionId>,
    /// Deliveries that cannot be stored.
    pub refused: Vec<RefusedDelivery>,
}

impl TakenJournal {
    /// Returns whether no session was stored or is gone.
    fn is_empty(&self) -> bool {
        self.through.is_empty() && self.gone.is_empty()
    }
}

/// A delivery that cannot be stored: a row of the session is unreadable, or the store rejects a
/// value.
#[derive(Debug)]
pub struct RefusedDelivery {
    /// The session of the delivery.
    pub session: SessionId,
    /// Cause, for the log.
    pub cause: BoxError,
}

impl Journals {
    /// Creates the use cases over these ports.
    pub fn new(ports: JournalPorts) -> Self {
        Self { ports }
    }

    /// Stores the items of a node's journal. `file` is the name that the node gave the journal. Each
    /// session has at most one delivery.
    ///
    /// Items with a known sequence number of the same journal are skipped. Items that arrive again
    /// under another number are recognized by the identity of their message.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) if the store is not reachable. The node delivers everything again.
    pub async fn take(
        &self,
        node: &GatewayId,
        file: &str,
        deliveries: Vec<JournalDelivery>,
    ) -> Result<TakenJournal> {
        let journal = JournalName::new(node, file);
        let mut pending: BTreeMap<_, _> =
            deliveries.into_iter().map(|it| (it.session.clone(), it.items)).collect();
        let mut taken = TakenJournal::default();
        while !pending.is_empty() {
            let turns = self.ports.turns.wait_for_some(pending.keys()).await;
            let of_turn = |turn: &Turn| pending.remove_entry(turn.session());
            let part = turns.iter().filter_map(of_turn).collect();
            if let Err(error) = self.take_part(&journal, part, &mut taken).await {
                turns.iter().for_each(Turn::fail);
                // The rest of the sessions is delivered again.
                return if taken.is_empty() { Err(error) } else { Ok(taken) };
            }
        }
        Ok(taken)
    }

    /// Stores the items of some sessions.
    async fn take_part(
        &self,
        journal: &JournalName,
        pending: BTreeMap<SessionId, Vec<JournalItem>>,
        taken: &mut TakenJournal,
    ) -> Result<()> {
        let progress = Progress { pending, taken: std::mem::take(taken) };
        let transfer = Transfer { journal, ports: &self.ports, progress: Mutex::new(progress) };
        let result =
            execute(&transfer, || transfer.find(), |states| Ok(transfer.decide(&states))).await;
        *taken = transfer.into_taken();
        result
    }
}

/// A delivery under way.
struct Transfer<'a> {
    journal: &'a JournalName,
    ports: &'a JournalPorts,
    progress: Mutex<Progress>,
}

struct Progress {
    pending: BTreeMap<SessionId, Vec<JournalItem>>,
    taken: TakenJournal,
}

impl Transfer<'_> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_taken(self) -> TakenJournal {
        self.progress.into_inner().unwrap_or_else(PoisonError::into_inner).taken
    }

    /// Returns the states of the sessions whose items are not stored yet.
    async fn find(&self) -> Result<Vec<MessagingState>> {
        let lookups: Vec<_> =
            self.progress().pending.iter().map(|(session, items)| lookup(session, items)).collect();
        match self.ports.store.messaging_states(&lookups).await {
            Err(PortError::Broken(_)) if lookups.len() > 1 => self.find_each(&lookups).await,
            found => Ok(found?),
        }
    }

    /// Returns the states of the readable sessions. The others are refused.
    async fn find_each(&self, lookups: &[MessagingLookup]) -> Result<Vec<MessagingState>> {
        let mut states = Vec::new();
        for lookup in lookups {
            match self.ports.store.messaging_states(std::slice::from_ref(lookup)).await {
                Ok(found) => states.extend(found),
                Err(PortError::Broken(cause)) => self.refuse(&lookup.session, cause),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(states)
    }

    fn refuse(&self, session: &SessionId, cause: BoxError) {
        let mut progress = self.progress();
        progress.pending.remove(session);
        progress.taken.refused.push(RefusedDelivery { session: session.clone(), cause });
    }

    /// Decides about every session whose items are not stored yet.
    fn decide(&self, states: &[MessagingState]) -> Decision<Vec<MessagingCommit>, ()> {
        let mut progress = self.progress();
        let Progress { pending, taken } = &mut *progress;
        let node = &self.journal.node;
        let states: BTreeMap<_, _> = states
            .iter()
            .filter(|state| state.accepts_node(node))
            .map(|state| (&state.row.session, state))
            .collect();
        let mut commits = Vec::new();
        pending.retain(|session, items| {
            let Some(state) = states.get(session) else {
                taken.gone.insert(session.clone());
                return false;
            };
            items.retain(|item| !state.row.has_stored(self.journal, item.sequence));
            if items.is_empty() {
                taken.through.insert(session.clone(), state.row.journal_sequence);
                return false;
            }
            commits.push(commit_of(state, self.journal, items, &*self.ports.environment));
            true
        });
        if commits.is_empty() { Decision::Keep(()) } else { Decision::Write(commits, ()) }
    }

    /// Writes the commits; each that fails in a shared transaction is written alone.
    async fn write_all(&self, commits: &[MessagingCommit]) -> Result<BTreeSet<SessionId>> {
        match self.ports.store.commit_messaging(commits).await {
            Err(PortError::Broken(_)) if commits.len() > 1 => {}
            written => return Ok(written?),
        }
        let mut written = BTreeSet::new();
        for commit in commits {
            match self.ports.store.commit_messaging(std::slice::from_ref(commit)).await {
                Ok(sessions) => written.extend(sessions),
                // A retry would fail in the same way.
                Err(PortError::Broken(cause)) => self.refuse(&commit.change.row.session, cause),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }
}

/// Changes of sessions. A commit is done when no session is left.
impl CommitTarget for Transfer<'_> {
    type Commit = Vec<MessagingCommit>;

    async fn write(&self, commits: &Vec<MessagingCommit>) -> Result<Written> {
        let written = self.write_all(commits).await?;
        for MessagingCommit { change, .. } in commits {
            if written.contains(&change.row.session) {
                let (session, version) = (&change.row.session, change.row.version);
                let changed = Notification::MessagesChanged { session, version: Some(version) };
                self.ports.notifier.notify(changed);
                if change.row.outbox_due.is_some() {
                    self.ports.notifier.notify(Notification::OutboxDue);
                }
            }
        }
        let mut progress = self.progress();
        let Progress { pending, taken } = &mut *progress;
        for MessagingCommit { change, .. } in commits {
            if written.contains(&change.row.session) {
                pending.remove(&change.row.session);
                taken.through.insert(change.row.session.clone(), change.row.journal_sequence);
            }
        }
        Ok(if pending.is_empty() { Written::Done } else { Written::Raced })
    }

    /// The write notifies, because it can be done in parts.
    fn notify(&self, _: &Vec<MessagingCommit>) {}
}

/// Returns the keys of the state that items need.
fn lookup(session: &SessionId, items: &[JournalItem]) -> MessagingLookup {
    let (mut names, mut wa_ids) = (BTreeSet::new(), BTreeSet::new());
    for item in items {
        match &item.fact {
            JournalFact::Message(message) => {
                names.extend(message.origin.chat.iter().map(ChatNameText::from));
                wa_ids.insert(message.origin.wa_id.clone());
            }
            JournalFact::Undecryptable(message) => {
                names.extend(message.origin.chat.iter().map(ChatNameText::from));
                wa_ids.insert(message.origin.wa_id.clone());
            }
            JournalFact::Receipt(receipt) => {
                names.extend(receipt.chat.iter().map(ChatNameText::from));
                wa_ids.extend(receipt.wa_ids.iter().cloned());
            }
            JournalFact::Contacts(contacts) => {
                let addresses = contacts.iter().flat_map(|contact| [&contact.phone, &contact.lid]);
                names.extend(addresses.flatten().map(ChatNameText::from));
            }
            JournalFact::Timer(timer) => {
                names.extend(timer.chat.iter().map(ChatNameText::from));
            }
            JournalFact::Ack(ack) => drop(wa_ids.insert(ack.wa_id.clone())),
            JournalFact::SendResult(result) => drop(wa_ids.insert(result.wa_id.clone())),
            JournalFact::Unknown => {}
        }
    }
    MessagingLookup { session: session.clone(), names, wa_ids }
}

/// Returns the commit that stores items.
fn commit_of(
    state: &MessagingState,
    journal: &JournalName,
    items: &[JournalItem],
    environment: &dyn Environment,
) -> MessagingCommit {
    let mut draft = Draft::new(state, &Actor::System, environment);
    for item in items {
        match &item.fact {
            JournalFact::Message(message) => draft.apply_message(message),
            JournalFact::Undecryptable(message) => draft.apply_undecryptable(message),
            JournalFact::Ack(ack) => draft.apply_ack(ack),
            JournalFact::Receipt(receipt) => draft.apply_receipt(receipt),
            JournalFact::Contacts(contacts) => draft.apply_contacts(contacts),
            JournalFact::Timer(timer) => draft.apply_timer(timer),
            JournalFact::SendResult(result) => draft.apply_send_result(result),
            JournalFact::Unknown => {}
        }
    }
    draft.row.account = state.phone.clone().or(draft.row.account);
    let is_message = |item: &JournalItem| matches!(item.fact, JournalFact::Message(_));
    if state.auto_read && items.iter().any(is_message) {
        // The sender of messages marks received ones as read.
        draft.row.outbox_due = Some(environment.now());
    }
    let last = items.iter().map(|item| item.sequence).max().unwrap_or_default();
    draft.row.journal_sequence = if draft.row.journal.as_ref() == Some(journal) {
        last.max(draft.row.journal_sequence)
    } else {
        last
    };
    draft.row.journal = Some(journal.clone());
    draft.into_commit()
}
