//! Checks of listeners and of the range of local ports.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
};

use crate::report::Report;

/// The file with the first and the last local port of outgoing connections (Linux).
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Checks that the program can listen at an address. `is_ours` tells whether the program that uses
/// the address is another process of the same service.
pub fn listener(
    report: &mut Report,
    setting: &str,
    address: SocketAddr,
    is_ours: impl FnOnce() -> bool,
) {
    match TcpListener::bind(address) {
        Ok(_) => report.ok("listeners", format!("{address} ({setting}) is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_ours() => {
            report.ok("listeners", format!("{address} ({setting}) is used by a running process"));
        }
        Err(error) => report.fault(
            "listeners",
            format!("the program cannot listen at {address} (the setting {setting}): {error}"),
        ),
    }
}

/// Checks that the range of local ports has room for `needed` connections to one address. Does
/// nothing on systems without the file.
pub fn local_ports(report: &mut Report, needed: u64) {
    if let Ok(range) = std::fs::read_to_string(PORT_RANGE) {
        compare(report, &range, needed);
    }
}

fn compare(report: &mut Report, range: &str, needed: u64) {
    let mut numbers = range.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
    let (Some(first), Some(last)) = (numbers.next(), numbers.next()) else { return };
    let ports = (last + 1).saturating_sub(first);
    if ports < needed {
        report.warn(
            "local_ports",
            format!(
                "the system has {ports} local ports for connections to one address, and the capacity \
                 needs {needed}; widen net.ipv4.ip_local_port_range"
            ),
        );
    } else {
        report.ok("local_ports", format!("{ports} local ports for a capacity of {needed}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn used_address_is_a_fault_unless_our_own_process_uses_the_address() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let level = |ours| {
            let mut report = Report::default();
            listener(&mut report, "listen", address, || ours);
            report.level()
        };
        assert_eq!((level(false), level(true)), (Level::Fault, Level::Ok));
        drop(other);
        assert_eq!(level(false), Level::Ok);
    }

    #[test]
    fn narrow_port_range_is_a_warning() {
        let level = |range, needed| {
            let mut report = Report::default();
            compare(&mut report, range, needed);
            report.level()
        };
        assert_eq!(level("32768\t60999\n", 50_000), Level::Warning);
        assert_eq!(level("32768\t60999\n", 28_232), Level::Ok);
        assert_eq!(level("", 1), Level::Ok);
    }
}
