//! Rebuilds the crate when a migration is added or changed: the macro that embeds them does not notice.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
