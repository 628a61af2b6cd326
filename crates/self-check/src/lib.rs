//! The findings of `berth doctor` and `berth-gateway doctor`, and the checks of the machine that both
//! programs make. No check changes anything.

mod certificate;
mod files;
mod folder;
mod ports;
mod report;
mod variables;

pub use self::{
    certificate::{CertificateFacts, certificate},
    files::open_files,
    folder::{folder, secret_file},
    ports::{listener, local_ports},
    report::{Finding, Level, Report},
    variables::variables,
};
