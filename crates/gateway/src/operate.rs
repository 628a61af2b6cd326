//! The commands for operators: self-check, back-up and restore.

mod back_up;
mod doctor;
mod restore;

pub use self::{
    back_up::run as back_up,
    doctor::run as doctor,
    restore::{RestoredSession, run as restore},
};
