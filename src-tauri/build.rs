//! Makes a permission for each of our two commands, so that the pages get these and no other.

fn main() {
    let commands = tauri_build::AppManifest::new().commands(&["request", "watch"]);
    let attributes = tauri_build::Attributes::new().app_manifest(commands);
    tauri_build::try_build(attributes).expect("tauri.conf.json and the capabilities are right");
}
