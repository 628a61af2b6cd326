//! QR codes as images: eight pixels for each module, with the quiet zone that scanners need.

use domain::ports::BoxError;
use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, EcLevel, QrCode, render::svg};

const PIXELS_PER_MODULE: usize = 8;
/// Width of the white border, in modules.
const QUIET_ZONE_MODULES: usize = 4;

/// Returns the QR code of `text` as an SVG document.
///
/// # Errors
/// The text is too long for a QR code; the same below.
pub(crate) fn svg(text: &str) -> Result<String, BoxError> {
    let scale = u32::try_from(PIXELS_PER_MODULE)?;
    let code = modules(text)?;
    Ok(code.render::<svg::Color<'_>>().module_dimensions(scale, scale).quiet_zone(true).build())
}

/// Returns the QR code of `text` as a PNG with one bit per pixel.
pub(crate) fn png(text: &str) -> Result<Vec<u8>, BoxError> {
    let code = modules(text)?;
    let (modules, colors) = (code.width(), code.to_colors());
    let side = (modules + 2 * QUIET_ZONE_MODULES) * PIXELS_PER_MODULE;
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| {
            (at / PIXELS_PER_MODULE).checked_sub(QUIET_ZONE_MODULES).filter(|at| *at < modules)
        };
        let (Some(x), Some(y)) = (inside(x), inside(y)) else { return false };
        colors.get(y * modules + x) == Some(&Color::Dark)
    };
    let mut pixels = Vec::with_capacity(side * side / 8);
    for y in 0..side {
        for left in (0..side).step_by(8) {
            let bits = (0..8).map(|bit| u8::from(!is_dark(left + bit, y)) << (7 - bit));
            pixels.push(bits.fold(0, |byte, bit| byte | bit));
        }
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, u32::try_from(side)?, u32::try_from(side)?);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// Returns the QR code with the lowest error correction: on a screen fewer modules scan faster.
fn modules(text: &str) -> Result<QrCode, BoxError> {
    Ok(QrCode::with_error_correction_level(text, EcLevel::L)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_has_the_modules_of_the_code() {
        let file = png("2@a,b,c,d").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let code = modules("2@a,b,c,d").unwrap();
        let side = (code.width() + 2 * QUIET_ZONE_MODULES) * PIXELS_PER_MODULE;
        assert_eq!((info.width as usize, info.height as usize), (side, side));
        let white = |x: usize, y: usize| pixels[y * info.line_size + x / 8] >> (7 - x % 8) & 1 == 1;
        for (index, color) in code.to_colors().into_iter().enumerate() {
            let (x, y) = (index % code.width(), index / code.width());
            let (x, y) = (
                (x + QUIET_ZONE_MODULES) * PIXELS_PER_MODULE + 3,
                (y + QUIET_ZONE_MODULES) * PIXELS_PER_MODULE + 5,
            );
            assert_eq!(white(x, y), color == Color::Light, "{x} {y}");
        }
        assert!(
            white(0, 0)
                && white(side - 1, side - 1)
                && white(QUIET_ZONE_MODULES * PIXELS_PER_MODULE - 1, side / 2)
        );
    }

    #[test]
    fn text_too_long_for_a_qr_code_is_an_error() {
        assert!(png(&"x".repeat(10_000)).is_err());
        assert!(svg(&"x".repeat(10_000)).is_err());
    }
}
