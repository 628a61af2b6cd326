//! Test doubles and contract suites for everything behind a port.
