//! Everything wrong with a configuration, as one error.
//!
//! Whoever adds a problem must not put a secret's value into it.

use std::fmt;

/// What is wrong with the settings, in the order found. `Display` prints one
/// problem a line. Never empty when it is returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// The problems, one line each.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `; did you mean X?` for the candidate nearest to a mistyped `name`, or
/// nothing when none is near.
pub(super) fn did_you_mean(name: &str, candidates: impl IntoIterator<Item = &'static str>) -> String {
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 3 && *distance < candidate.len())
        .map(|(_, candidate)| format!("; did you mean {candidate}?"))
        .unwrap_or_default()
}

/// Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, left) in from.chars().enumerate() {
        let mut next = vec![done + 1];
        let mut beside = done + 1;
        for ((right, above), diagonal) in to.iter().zip(row.iter().skip(1)).zip(&row) {
            beside = (beside + 1).min(above + 1).min(diagonal + usize::from(left != *right));
            next.push(beside);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, edits};

    #[test]
    fn edits_counts_insertions_deletions_and_changes() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        assert_eq!(did_you_mean("DF_BIN", ["DF_BIND", "DF_LOG"]), "; did you mean DF_BIND?");
        assert_eq!(did_you_mean("DF_SOMETHING_ELSE", ["DF_BIND", "DF_LOG"]), "");
    }
}
