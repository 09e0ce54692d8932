//! `sqlx::migrate!` embeds the folder, but a new file in it is only seen when the crate is built again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
