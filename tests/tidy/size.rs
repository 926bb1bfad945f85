//! How long a file may be, and how it begins.

use super::Finding;
use super::tree::Source;

const LONGEST: usize = 400;
const SHORTEST: usize = 15;
/// These only name other files.
const MAY_BE_SHORT: [&str; 2] = ["mod.rs", "main.rs"];

/// Files over 400 or under 15 lines.
pub(crate) fn length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    let name = source.path.rsplit('/').next().unwrap_or_default();
    if lines > LONGEST {
        vec![source.finding(lines, format!("{lines} lines; split it, {LONGEST} is the most"))]
    } else if lines < SHORTEST && !MAY_BE_SHORT.contains(&name) {
        vec![source.finding(
            lines,
            format!("{lines} lines; join it with a neighbour, {SHORTEST} is the least"),
        )]
    } else {
        Vec::new()
    }
}

/// Files whose first line is no `//!`.
pub(crate) fn opening(source: &Source) -> Vec<Finding> {
    let said = source.text.lines().next().and_then(|line| line.strip_prefix("//!"));
    match said.map(str::trim) {
        Some(said) if !said.is_empty() => Vec::new(),
        _ => vec![source.finding(1, "the first line must be `//!` and say what the file is for")],
    }
}

#[cfg(test)]
mod tests {
    use super::{length, opening};
    use crate::tree::Source;

    #[test]
    fn long_and_short_files_are_found() {
        let of = |path: &str, lines: usize| length(&Source::sample(path, &"x\n".repeat(lines))).len();
        assert_eq!((of("src/a.rs", 400), of("src/a.rs", 401)), (0, 1));
        assert_eq!((of("src/a.rs", 15), of("src/a.rs", 14)), (0, 1));
        assert_eq!(
            (of("src/a/mod.rs", 3), of("tests/it/main.rs", 3), of("src/main.rs", 401)),
            (0, 0, 1)
        );
    }

    #[test]
    fn a_file_without_an_opening_line_is_found() {
        let of = |text: &str| opening(&Source::sample("src/a.rs", text)).len();
        assert_eq!(of("//! Says it.\n"), 0);
        assert_eq!(
            (of("//!\n"), of("// Says it.\n"), of("\n//! Says it.\n"), of("")),
            (1, 1, 1, 1)
        );
    }
}
