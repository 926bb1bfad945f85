//! The outcome that a call's summary speaks of, as tags.

/// How many words before a word a "not" still reaches it.
const REACH: usize = 3;
/// What turns a word into its opposite; contractions without their apostrophe.
const NEGATIONS: [&str; 21] = [
    "not", "no", "never", "nor", "neither", "without", "isnt", "arent", "wasnt", "werent", "dont", "doesnt", "didnt",
    "cant", "couldnt", "wont", "wouldnt", "shouldnt", "havent", "hasnt", "hadnt",
];

/// `Summary: …` for each named outcome, then at most one reading of the interest
/// and one of the next step. Whole words only; a refusal anywhere outweighs
/// interest elsewhere.
pub(super) fn tags(text: &str, outcomes: &[String]) -> Vec<String> {
    let sentences: Vec<Vec<String>> = text
        .to_lowercase()
        .replace(['\'', '’'], "")
        .split(['.', ',', ';', ':', '!', '?', '\n'])
        .map(|sentence| {
            let words = sentence.split(|c: char| !c.is_alphanumeric());
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        })
        .collect();
    let says = |phrases: &[&str], denied: bool| {
        sentences
            .iter()
            .any(|words| phrases.iter().any(|phrase| occurs(words, phrase, denied)))
    };
    let mut tags: Vec<String> = outcomes.iter().map(|outcome| format!("Summary: {outcome}")).collect();
    let refuses = says(&["declined", "declines", "uninterested", "disinterested"], false)
        || says(&["interested", "interest"], true);
    if refuses {
        tags.push("Not Interested".to_owned());
    } else if says(&["interested", "want", "wants"], false) && !says(&["want", "wants"], true) {
        tags.push("Interested".to_owned());
    }
    if says(&["follow up", "followup", "callback", "call back"], false) {
        tags.push("Follow-up Needed".to_owned());
    }
    tags
}

/// Whether the phrase stands in a sentence, denied or not.
fn occurs(words: &[String], phrase: &str, denied: bool) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words.windows(phrase.len()).enumerate().any(|(at, window)| {
        let before = words.iter().take(at).rev().take(REACH);
        let negated = before.into_iter().any(|word| NEGATIONS.contains(&word.as_str()));
        window.iter().eq(phrase.iter()) && negated == denied
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_come_first_and_only_whole_words_count() {
        for (text, wanted) in [
            ("The lead is not interested.", &["Not Interested"][..]),
            ("She isn't really interested", &["Not Interested"]),
            ("He isn’t interested.", &["Not Interested"]),
            ("Hasn't been interested", &["Not Interested"]),
            ("They wouldn’t be interested", &["Not Interested"]),
            ("AT&T customer is interested", &["Interested"]),
            ("T-Mobile user interested", &["Interested"]),
            ("Has no interest in the offer", &["Not Interested"]),
            ("He declined politely.", &["Not Interested"]),
            ("Interested at first, then not interested.", &["Not Interested"]),
            (
                "She was interested; agreed a callback.",
                &["Interested", "Follow-up Needed"],
            ),
            ("He was not available. Interested in Friday.", &["Interested"]),
            (
                "Wants a quote, follow-up on Monday",
                &["Interested", "Follow-up Needed"],
            ),
            ("Please call back", &["Follow-up Needed"]),
            ("No follow-up needed", &[]),
            ("Not yet convinced, but interested", &["Interested"]),
            ("An unwanted call.", &[]),
            ("He doesn't want it.", &[]),
            ("", &[]),
        ] {
            assert_eq!(tags(text, &[]), wanted, "{text}");
        }
    }

    #[test]
    fn named_outcomes_are_tags_of_their_own() {
        let outcomes = ["Booked".to_owned(), "Sent brochure".to_owned()];
        assert_eq!(
            tags("not interested", &outcomes),
            ["Summary: Booked", "Summary: Sent brochure", "Not Interested"]
        );
    }
}
