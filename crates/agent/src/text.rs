//! Text from outside, made fit for a terminal: bounded, and without characters that move the cursor, colour, hide or
//! reorder.

/// Most characters of one field that are shown.
pub const SHOWN: usize = 512;

/// `text` with every unsafe character written as `\u{..}`, cut after [`SHOWN`] characters.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            out.push('…');
            break;
        }
        if is_unsafe(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// JSON text whose strings hold no unsafe character either: each is written as JSON's own escape, so the value stays
/// the same.
#[must_use]
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and invisible or reordering format characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_and_bidi_overrides_are_made_visible() {
        assert_eq!(shown("a\u{1b}[31mb\u{9b}c\r\n"), "a\\u{1b}[31mb\\u{9b}c\\u{d}\\u{a}");
        assert_eq!(shown("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(shown("Grüße, 東京 ✓"), "Grüße, 東京 ✓");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = shown(&"ä".repeat(10_000));
        assert_eq!(cut.chars().count(), SHOWN + 1);
        assert!(cut.ends_with('…'));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_gets_through_and_json_keeps_its_value(text in any::<String>()) {
            prop_assert!(!shown(&text).chars().any(is_unsafe));
            let json = escape_json(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
