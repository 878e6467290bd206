//! Text for a telephone's camera.

use qrcode::{QrCode, render::unicode::Dense1x2};
use zeroize::Zeroizing;

/// `text` as a QR code for a terminal with light letters on a dark ground, two rows of squares a line. None when it is too long
/// for one (2,953 bytes).
pub fn qr_code(text: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::new(text).ok()?;
    // Letters are light, so they draw the squares that paper would leave white.
    let drawn =
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build();
    Some(Zeroizing::new(drawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_square_and_begins_with_the_quiet_zone() {
        let drawn = qr_code("[Interface]\n").unwrap();
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        let width = lines[0].len();
        assert!(lines.iter().all(|line| line.len() == width));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines[..2].iter().flatten().all(|square| *square == '█'));
        // The corner of the finder pattern: four squares in, on both sides.
        assert_eq!(lines[2][4..11].iter().collect::<String>(), " ▄▄▄▄▄ ");
    }

    #[test]
    fn says_when_the_text_is_too_long() {
        assert!(qr_code(&"x".repeat(3000)).is_none());
    }
}
