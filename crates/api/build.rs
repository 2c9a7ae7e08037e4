//! Looks after the folder of the built pages, which `pages.rs` embeds.

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/build");
    // Cargo takes a missing path for a changed one and would build this crate again each time, and
    // the macro that embeds notices changed files but not new ones. Where the folder cannot be
    // made, building again each time is all that happens.
    let _ = std::fs::create_dir_all(folder);
    println!("cargo::rerun-if-changed={folder}");
    println!("cargo::rerun-if-changed=build.rs");
}
