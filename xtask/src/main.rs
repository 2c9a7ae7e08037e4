//! placeholder
#[cfg(feature = "icons")]
mod icons;
fn main() {
    #[cfg(feature = "icons")]
    icons::draw(std::path::Path::new("icons")).unwrap();
}
