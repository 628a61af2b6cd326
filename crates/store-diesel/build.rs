//! Rebuilds the crate when a migration changes; the macro that embeds the migrations does not
//! detect new files.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
