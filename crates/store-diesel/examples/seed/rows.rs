//! The values of the rows: organization, creation time, and the columns of the filters.
//!
//! The benchmark queries the largest organization. A value that is rare there is frequent in the
//! others, and occurs only in its three oldest sessions. So a scan of its list, newest first, reads
//! the whole list, and statistics over all organizations mislead the planner.

use std::fmt::Write as _;

use domain::{EventId, SessionId};

use crate::{
    Result,
    random::SeededRandom,
    templates::{self, PHONE},
};

/// A label of many sessions of the largest organization.
pub(crate) const USUAL: &str = "sales";
/// A label of its three oldest sessions, and of many sessions of other organizations.
pub(crate) const RARE: &str = "elsewhere";
/// A phone number to which a fifth of its sessions are linked.
pub(crate) const SHARED: &str = "4900000000002";
/// The phone number of its oldest session only.
pub(crate) const OLDEST: &str = "4900000000001";

const FIRST_CREATED_AT: u64 = 1_700_000_000_000;
const NODES: u64 = 20;
/// Number of the oldest sessions with the rare values.
const OLDEST_WITH_RARE_VALUES: usize = 3;

/// The values of one session.
pub(crate) struct Row {
    id: SessionId,
    events: [EventId; 3],
    organization: usize,
    status: &'static str,
    label: Option<String>,
    phone: String,
    node: u64,
    created_at: u64,
}

/// Generates all rows, oldest first.
pub(crate) struct Rows {
    random: SeededRandom,
    left: usize,
    organizations: usize,
    largest_left: usize,
    largest_created: usize,
    created_at: u64,
    number: u64,
}

/// Returns the id of an organization.
pub(crate) fn organization(number: usize) -> String {
    format!("org-{number:04}")
}

impl Rows {
    pub(crate) fn new(sessions: usize, organizations: usize, largest: usize) -> Result<Self> {
        if organizations == 0 || largest > sessions || (organizations == 1 && largest < sessions) {
            return Err("so many sessions cannot be divided so".into());
        }
        Ok(Self {
            random: SeededRandom(7),
            left: sessions,
            organizations,
            largest_left: largest,
            largest_created: 0,
            created_at: FIRST_CREATED_AT,
            number: 0,
        })
    }

    fn organization(&mut self) -> usize {
        let left = self.left as u64;
        if self.random.below(left) < self.largest_left as u64 {
            self.largest_left -= 1;
            self.largest_created += 1;
            return 0;
        }
        let others = self.organizations as u64 - 1;
        1 + usize::try_from(self.random.below(others)).unwrap_or_default()
    }

    fn ulid_bits(&mut self) -> u128 {
        let random = u128::from(self.random.next()) << 16 | u128::from(self.random.below(1 << 16));
        u128::from(self.created_at) << 80 | random
    }

    fn status(&mut self, largest: bool) -> &'static str {
        match self.random.below(100) {
            0..=1 => templates::SCANNING,
            2..=14 => templates::STOPPED,
            15..=29 if !largest => templates::FAILED,
            _ => templates::WORKING,
        }
    }

    fn label(&mut self, largest: bool) -> Option<String> {
        match self.random.below(100) {
            0..=29 => Some(USUAL.to_owned()),
            30..=59 if !largest => Some(RARE.to_owned()),
            60..=84 => Some(format!("shop {}", self.random.below(5_000))),
            _ => None,
        }
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.left == 0 {
            return None;
        }
        let organization = self.organization();
        self.left -= 1;
        self.number += 1;
        // About one session in ten has the creation time of the previous one.
        self.created_at += self.random.below(10) * 50;
        let largest = organization == 0;
        let oldest = largest && self.largest_created <= OLDEST_WITH_RARE_VALUES;
        let (mut status, mut label) = (self.status(largest), self.label(largest));
        let mut phone = format!("49151{:08}", self.number);
        if oldest {
            (status, label) = (templates::FAILED, Some(RARE.to_owned()));
        } else if largest && self.random.percent(20) {
            SHARED.clone_into(&mut phone);
        }
        if oldest && self.largest_created == 1 {
            OLDEST.clone_into(&mut phone);
        }
        let id = SessionId::from_bits(self.ulid_bits());
        let events = std::array::from_fn(|_| EventId::from_bits(self.ulid_bits()));
        let (node, created_at) = (self.random.below(NODES), self.created_at);
        Some(Row { id, events, organization, status, label, phone, node, created_at })
    }
}

/// Returns the statement that inserts the sessions.
pub(crate) fn sessions(rows: &[Row]) -> String {
    let mut values = String::new();
    for row in rows {
        let Row { id, status, phone, node, created_at, .. } = row;
        let organization = organization(row.organization);
        let label = row.label.as_ref().map_or("NULL".to_owned(), |label| format!("'{label}'"));
        let _ = write!(
            values,
            ",('{id}','{organization}','{status}',{label},'{phone}','gw-{node}',{created_at})"
        );
    }
    // Copies the template of the same status, except for the generated values.
    format!(
        "INSERT INTO sessions (id, organization, created_by, label, auto_read, presence_typing,
            rate_per_min, rate_per_hour, metadata, is_admin_session, gateway, desired, epoch, wanted,
            status, reason, identity, phone_number, pairing, deadline, heard, last_connected_at,
            created_at, updated_at, version, sequence, due, failures, messages, retention_days)
        SELECT r.column1, r.column2, t.created_by, r.column4, t.auto_read, t.presence_typing,
            t.rate_per_min, t.rate_per_hour, t.metadata, t.is_admin_session, r.column6, t.desired,
            t.epoch, t.wanted, t.status, t.reason, replace(t.identity, '{PHONE}', r.column5),
            CASE WHEN t.phone_number IS NULL THEN NULL ELSE r.column5 END, t.pairing, t.deadline,
            t.heard, t.last_connected_at, r.column7, r.column7, t.version, 3, t.due, t.failures,
            t.messages, t.retention_days
        FROM (VALUES {}) AS r JOIN template_sessions AS t ON t.status = r.column3",
        &values[1..]
    )
}

/// Returns the statement that inserts the events.
pub(crate) fn events(rows: &[Row]) -> String {
    let mut values = String::new();
    for Row { id, events, organization, created_at, .. } in rows {
        let organization = self::organization(*organization);
        for (sequence, (event, name)) in (1..).zip(events.iter().zip(templates::EVENTS)) {
            let _ = write!(
                values,
                ",('{event}','{organization}','{id}',{sequence},'{}',{created_at})",
                name.as_str()
            );
        }
    }
    format!(
        "INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, actor_name,
            payload)
        SELECT r.column1, r.column2, r.column3, r.column4, t.name, r.column6, t.actor_kind,
            t.actor_name, t.payload
        FROM (VALUES {}) AS r JOIN template_events AS t ON t.name = r.column5",
        &values[1..]
    )
}
