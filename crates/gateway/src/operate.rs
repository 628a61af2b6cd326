//! The commands for operators: self-check, health, back-up and restore.

mod back_up;
mod doctor;
mod health;
mod restore;

pub use self::{
    back_up::run as back_up,
    doctor::run as doctor,
    health::run as health,
    restore::{RestoredSession, run as restore},
};
