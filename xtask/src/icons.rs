//! Draws the application's icons from their SVG sources.
//!
//! What it draws is committed, so that a build needs no renderer. Sizes up to 32 px come from a
//! drawing of their own: scaled down, the large one blurs.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Up to this many pixels the small drawing is used.
const SMALL: u32 = 32;

/// The PNG files that bundles and desktops ask for.
const PNGS: [(&str, u32); 9] = [
    ("16x16.png", 16),
    ("32x32.png", 32),
    ("48x48.png", 48),
    ("64x64.png", 64),
    ("128x128.png", 128),
    ("128x128@2x.png", 256),
    ("256x256.png", 256),
    ("512x512.png", 512),
    ("icon.png", 1024),
];

fn main() -> Result<()> {
    let folder = &Path::new(env!("CARGO_MANIFEST_DIR")).join("../icons");
    let large = fs::read_to_string(folder.join("icon.svg"))?;
    let small = fs::read_to_string(folder.join("icon-small.svg"))?;
    let source = |size: u32| if size <= SMALL { &small } else { &large };

    for (name, size) in PNGS {
        fs::write(folder.join(name), render(source(size), size, 0)?.encode_png()?)?;
    }
    draw_ico(&folder.join("icon.ico"), source)?;
    draw_icns(&folder.join("icon.icns"), source)?;

    let black = fs::read_to_string(folder.join("tray.svg"))?;
    let white = black.replace("#000", "#fff");
    for (name, svg) in [("tray-dark.png", &black), ("tray-light.png", &white)] {
        fs::write(folder.join(name), render(svg, 44, 2)?.encode_png()?)?;
    }
    Ok(())
}

/// Draws `svg` into a square of `size` pixels, `margin` of them left clear on each side.
fn render(svg: &str, size: u32, margin: u32) -> Result<Pixmap> {
    let tree = Tree::from_str(svg, &Options::default())?;
    let mut pixmap = Pixmap::new(size, size).context("an icon of no size")?;
    #[expect(clippy::cast_precision_loss, reason = "an icon has at most 1,024 pixels a side")]
    let (inner, margin) = ((size - 2 * margin) as f32, margin as f32);
    let scale = inner / tree.size().width();
    let place = Transform::from_scale(scale, scale).post_translate(margin, margin);
    resvg::render(&tree, place, &mut pixmap.as_mut());
    Ok(pixmap)
}

fn draw_ico<'a>(path: &Path, source: impl Fn(u32) -> &'a String) -> Result<()> {
    let mut folder = ico::IconDir::new(ico::ResourceType::Icon);
    for size in [16, 24, 32, 48, 64, 256] {
        let pixels = straight(&render(source(size), size, 0)?);
        let image = ico::IconImage::from_rgba_data(size, size, pixels);
        folder.add_entry(ico::IconDirEntry::encode(&image)?);
    }
    Ok(folder.write(File::create(path)?)?)
}

/// macOS leaves a tenth of an icon's square clear on each side.
fn draw_icns<'a>(path: &Path, source: impl Fn(u32) -> &'a String) -> Result<()> {
    let mut family = icns::IconFamily::new();
    for size in [16, 32, 64, 128, 256, 512, 1024] {
        let margin = if size <= SMALL { 0 } else { size / 10 };
        let pixels = straight(&render(source(size), size, margin)?);
        family.add_icon(&icns::Image::from_data(icns::PixelFormat::RGBA, size, size, pixels)?)?;
    }
    Ok(family.write(File::create(path)?)?)
}

/// The pixels with their colours no longer multiplied by their alpha, as icon files want them.
fn straight(pixmap: &Pixmap) -> Vec<u8> {
    pixmap
        .pixels()
        .iter()
        .flat_map(|pixel| {
            let colour = pixel.demultiply();
            [colour.red(), colour.green(), colour.blue(), colour.alpha()]
        })
        .collect()
}
