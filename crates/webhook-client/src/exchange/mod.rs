//! One attempt over a new or an idle connection.

mod connection;
mod pool;
mod response;
mod retry_after;
mod sender;

pub use self::sender::Sender;
