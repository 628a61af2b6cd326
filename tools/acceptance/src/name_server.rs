//! A name server whose names have other addresses with each look-up, as attackers' names have.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};

/// A record of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    Address(IpAddr),
    /// The canonical name, whose records are those of another name of the zone.
    Alias(&'static str),
}

/// Names with their records: the first look-up gets the first list, the second look-up the second
/// one, and later look-ups the last one.
pub type Zone = HashMap<&'static str, Vec<Vec<Record>>>;

/// Maximum size of a message over UDP.
const MAX_MESSAGE: usize = 4_096;
const HEADER: usize = 12;
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
/// Class `IN`.
const INTERNET: u16 = 1;
/// A response with recursion, without an error.
const RESPONSE: u16 = 0x8180;
/// The response code `NXDOMAIN`.
const NO_SUCH_NAME: u16 = 3;

/// A running name server; it ends with the process.
#[derive(Clone, Debug)]
pub struct NameServer {
    lookups: Arc<Mutex<HashMap<(String, u16), usize>>>,
}

impl NameServer {
    /// Starts a name server on this address.
    ///
    /// # Errors
    /// When the port is taken or needs more rights.
    pub fn start(address: SocketAddr, zone: Zone) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("no port {address}"))?;
        let server = Self { lookups: Arc::default() };
        let answering = server.clone();
        thread::spawn(move || {
            let mut buffer = [0; MAX_MESSAGE];
            while let Ok((size, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answering.answer(&zone, &buffer[..size]) {
                    let _ = socket.send_to(&answer, from); // a killed router takes no answer
                }
            }
        });
        Ok(server)
    }

    /// Returns the number of look-ups of a name's IPv4 addresses.
    pub fn lookups(&self, name: &str) -> usize {
        let lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.get(&(name.to_owned(), A)).copied().unwrap_or_default()
    }

    fn answer(&self, zone: &Zone, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = name_at(query, HEADER)?;
        let asked = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
        let question = query.get(HEADER..end + 4)?;
        let records = zone.get(name.as_str()).map(|rounds| {
            let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            let round = lookups.entry((name.clone(), asked)).or_default();
            let records = rounds.get(*round).or(rounds.last()).cloned().unwrap_or_default();
            *round += 1;
            records
        });
        let code = if records.is_some() { 0 } else { NO_SUCH_NAME };
        let answers = resolved(zone, &name, &records.unwrap_or_default(), asked);
        let count = u16::try_from(answers.len()).ok()?;
        let mut message = query.get(..2)?.to_vec();
        for field in [RESPONSE | code, 1, count, 0, 0] {
            message.extend(field.to_be_bytes());
        }
        message.extend(question);
        message.extend(answers.concat());
        Some(message)
    }
}

/// Returns the resource records of an answer, aliases first.
fn resolved(zone: &Zone, name: &str, records: &[Record], asked: u16) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    for record in records {
        match record {
            Record::Address(IpAddr::V4(address)) if asked == A => {
                answers.push(resource(name, A, &address.octets()));
            }
            Record::Address(IpAddr::V6(address)) if asked == AAAA => {
                answers.push(resource(name, AAAA, &address.octets()));
            }
            Record::Address(_) => {}
            Record::Alias(target) => {
                answers.push(resource(name, CNAME, &labels(target)));
                let records = zone.get(target).and_then(|rounds| rounds.first());
                answers.extend(resolved(zone, target, records.map_or(&[], |it| it), asked));
            }
        }
    }
    answers
}

/// Returns a resource record with a time to live of 0 s.
fn resource(name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or_default();
    let mut bytes = labels(name);
    for field in [kind, INTERNET, 0, 0, length] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

/// Returns a name as labels with their lengths.
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Returns the name at this place of a message in lower case, and the place behind the name.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let header = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&header[..], &labels(name), &kind.to_be_bytes(), &INTERNET.to_be_bytes()].concat()
    }

    #[test]
    fn lookups_get_the_lists_in_turn() {
        let address = |last| vec![Record::Address(Ipv4Addr::new(10, 0, 0, last).into())];
        let zone = Zone::from([
            ("turn.test", vec![address(1), address(2)]),
            ("alias.test", vec![vec![Record::Alias("turn.test")]]),
        ]);
        let server = NameServer { lookups: Arc::default() };
        let ask = |name: &str, kind| server.answer(&zone, &query(name, kind)).unwrap();
        let last = |message: Vec<u8>| message.last().copied();
        assert_eq!([1, 2, 2].map(Some), [(); 3].map(|()| last(ask("Turn.test", A))));
        assert_eq!(server.lookups("turn.test"), 3);
        let alias = ask("alias.test", A);
        assert_eq!((alias[7], last(alias)), (2, Some(1)), "an alias and its address");
        assert_eq!(ask("turn.test", AAAA)[7], 0, "no address of the other family");
        assert_eq!(ask("none.test", A)[3] & 0xf, 3);
    }
}
