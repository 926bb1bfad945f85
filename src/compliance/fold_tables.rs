//! Character tables for folding: what is invisible, what is a stop sign, and
//! which letters of other alphabets look like Latin ones.

/// Format characters that show nothing: zero-width, bidi, soft hyphen, BOM,
/// variation selectors, tags, object replacement and control characters.
pub(super) fn invisible(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' => false,
        c if c.is_control() => true,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffc}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Apostrophes and accents used as apostrophes; they vanish inside a word.
pub(super) fn apostrophe(c: char) -> bool {
    matches!(
        c,
        '\'' | '`'
            | '\u{b4}'
            | '\u{2b9}'
            | '\u{2bb}'..='\u{2bd}'
            | '\u{2c8}'
            | '\u{2018}'..='\u{201b}'
            | '\u{2032}'
            | '\u{ff07}'
    )
}

/// A regional-indicator letter (half a flag) as a plain letter.
pub(super) fn regional(c: char) -> Option<char> {
    offset(c, 0x1f1e6, 26)
}

/// Negative circled and squared letters, which NFKC leaves alone.
pub(super) fn boxed(c: char) -> Option<char> {
    offset(c, 0x1f150, 26)
        .or_else(|| offset(c, 0x1f170, 26))
        .or_else(|| offset(c, 0x1f130, 26))
}

fn offset(c: char, first: u32, count: u32) -> Option<char> {
    let at = u32::from(c).checked_sub(first)?;
    let letter = u8::try_from(at).ok().filter(|_| at < count)?;
    Some(char::from(b'a' + letter))
}

/// The Latin letter a (lower-cased, unmarked) letter of another alphabet looks
/// like. Upper-case shapes count too: `т` stands for `Т`.
pub(super) fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' | 'ᴀ' | 'ɑ' | 'ꓮ' => 'a',
        'в' | 'β' | 'ʙ' | 'ꓐ' | 'ᏼ' => 'b',
        'с' | 'ϲ' | 'ᴄ' | 'ꓚ' | 'ꮯ' => 'c',
        'ԁ' | 'ᴅ' | 'ꓓ' | 'đ' | 'ɖ' => 'd',
        'е' | 'ε' | 'ᴇ' | 'ꓰ' | 'ҽ' | 'ꭼ' | 'є' => 'e',
        'ꜰ' | 'ғ' | 'ꓝ' => 'f',
        'ɢ' | 'ԍ' | 'ꓖ' => 'g',
        'н' | 'һ' | 'η' | 'ʜ' | 'ꓧ' | 'ꮋ' => 'h',
        'і' | 'ι' | 'ı' | 'ɪ' | 'ӏ' | 'ꓲ' => 'i',
        'ј' | 'ᴊ' | 'ꓙ' => 'j',
        'к' | 'κ' | 'ᴋ' | 'ꓗ' => 'k',
        'ʟ' | 'ꓡ' | 'ł' => 'l',
        'м' | 'μ' | 'ᴍ' | 'ꓟ' => 'm',
        'ν' | 'ɴ' | 'ꓠ' | 'ո' => 'n',
        'о' | 'ο' | 'ᴏ' | 'օ' | 'σ' | 'ꓳ' | 'ø' | 'ө' => 'o',
        'р' | 'ρ' | 'ᴘ' | 'ꓑ' | 'ꮲ' => 'p',
        'ԛ' | 'ꞯ' => 'q',
        'ʀ' | 'ꓣ' | 'г' => 'r',
        'ѕ' | 'ꜱ' | 'ꓢ' | 'ꮪ' | 'ʂ' => 's',
        'т' | 'τ' | 'ᴛ' | 'ꓔ' | 'ꭲ' | 'ŧ' => 't',
        'υ' | 'ᴜ' | 'ս' | 'ꓴ' => 'u',
        'ѵ' | 'ᴠ' | 'ꓦ' => 'v',
        'ѡ' | 'ԝ' | 'ω' | 'ᴡ' | 'ꓪ' => 'w',
        'х' | 'χ' | 'ꓫ' => 'x',
        'у' | 'γ' | 'ʏ' | 'ү' | 'ꓬ' => 'y',
        'ζ' | 'ᴢ' | 'ꓜ' => 'z',
        _ => return None,
    })
}

/// The letter a digit or sign stands for in `ST0P`, `$top`, `c@ncel`.
pub(super) fn leet(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        _ => return None,
    })
}

/// Signs and gestures that may mean "stop" when they are the whole message.
pub(super) fn stop_sign(c: char) -> bool {
    matches!(
        c,
        '🛑' | '🚫'
            | '⛔'
            | '✋'
            | '🤚'
            | '🖐'
            | '🖕'
            | '🤬'
            | '👎'
            | '🙅'
            | '📵'
            | '🔕'
            | '🔇'
            | '🤐'
            | '❌'
            | '✖'
            | '🔚'
            | '👋'
            | '🚷'
            | '🙉'
            | '😡'
            | '🤮'
    )
}
