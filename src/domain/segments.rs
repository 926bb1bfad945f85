//! How many parts a text is sent in: carriers bill and cap parts, and one
//! character outside GSM-7 halves what a part holds.

/// GSM-7's basic table, one septet each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension, two septets each, never split over parts.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

/// One part alone, and each of several, in septets.
const GSM: (u32, u32) = (160, 153);
/// The same in UTF-16 units.
const UCS2: (u32, u32) = (70, 67);

/// The parts of a text; none for an empty one.
pub fn segments(body: &str) -> u32 {
    let septets = |c: char| match c {
        c if BASIC.contains(c) => Some(1),
        c if EXTENDED.contains(c) => Some(2),
        _ => None,
    };
    match body.chars().map(septets).collect::<Option<Vec<u32>>>() {
        Some(costs) => parts(costs.into_iter(), GSM),
        None => parts(body.chars().map(|c| if c.len_utf16() == 2 { 2 } else { 1 }), UCS2),
    }
}

/// Fills part after part with what must not be split.
fn parts(costs: impl Iterator<Item = u32> + Clone, (alone, each): (u32, u32)) -> u32 {
    let all: u32 = costs.clone().sum();
    if all <= alone {
        return u32::from(all > 0);
    }
    let (full, _) = costs.fold((1, 0), |(parts, used), cost| match used + cost <= each {
        true => (parts, used + cost),
        false => (parts + 1, cost),
    });
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_and_the_joints_decide() {
        let of = |unit: &str, count: usize| segments(&unit.repeat(count));
        for (unit, count, wanted) in [
            ("a", 0, 0),
            ("a", 1, 1),
            ("a", 160, 1),
            ("a", 161, 2),
            ("a", 306, 2),
            ("a", 307, 3),
            ("€", 80, 1),
            ("€", 81, 2),
            // 76 of two septets are 152: the 77th does not fit the first part.
            ("€", 152, 2),
            ("€", 153, 3),
            ("—", 70, 1),
            ("—", 71, 2),
            ("—", 134, 2),
            ("—", 135, 3),
            ("🙂", 35, 1),
            ("🙂", 36, 2),
            // 33 pairs are 66 units: a pair is not split.
            ("🙂", 66, 2),
            ("🙂", 67, 3),
        ] {
            assert_eq!(of(unit, count), wanted, "{count} × {unit}");
        }
        assert_eq!(
            segments(&format!("{}’", "a".repeat(70))),
            2,
            "one curly quote turns all to UCS-2"
        );
        assert_eq!(segments("Grüße à la carte, señor"), 1);
    }
}
