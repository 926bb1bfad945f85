//! All evidence of consent as CSV, a page at a time: for a lawyer's spreadsheet.

use crate::domain::Phone;
use crate::store::opt_out_views::{Past, evidence};
use crate::store::{Db, StoreError, audit};

use super::AdminError;

/// Rows of one page.
const PAGE: i64 = 2_000;

const HEAD: [&str; 9] = [
    "phone_number",
    "cause",
    "action",
    "source",
    "reason",
    "evidence",
    "decided_by",
    "occurred_at",
    "recorded_at",
];

/// Where an export stands.
#[derive(Debug)]
pub struct Export {
    db: Db,
    after: i64,
    begun: bool,
}

impl Export {
    /// Begins one, on record.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn begin(db: Db, actor: &str) -> Result<Self, AdminError> {
        let client = db.client().await?;
        audit::append(
            &client,
            actor,
            "optout.export",
            "optout_history",
            &serde_json::json!({}),
        )
        .await?;
        drop(client);
        Ok(Self {
            db,
            after: 0,
            begun: false,
        })
    }

    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// Any statement failure.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = evidence(&self.db.client().await?, self.after, PAGE).await?;
        let Some(last) = rows.last() else {
            let head = (!self.begun).then(|| lines(&[], true));
            self.begun = true;
            return Ok(head);
        };
        self.after = last.id;
        let piece = lines(&rows, !self.begun);
        self.begun = true;
        Ok(Some(piece))
    }
}

fn lines(rows: &[Past], head: bool) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |cells: [&str; 9]| {
        // Into memory: there is nothing that could fail.
        writer.write_record(cells).ok();
    };
    if head {
        write(HEAD);
    }
    for row in rows {
        let optional = |text: &Option<String>| harmless(text.as_deref().unwrap_or_default());
        let phone = match Phone::from_e164(&row.phone) {
            Some(_) => row.phone.clone(),
            None => harmless(&row.phone),
        };
        write([
            &phone,
            &row.cause,
            &row.action,
            &harmless(&row.source),
            &optional(&row.reason),
            &optional(&row.evidence),
            &optional(&row.decided_by),
            &row.occurred_at.to_rfc3339(),
            &row.recorded_at.to_rfc3339(),
        ]);
    }
    writer.into_inner().unwrap_or_default()
}

/// A consumer's text must not become a formula where somebody opens the file: what
/// a spreadsheet would run gets an apostrophe in front.
fn harmless(text: &str) -> String {
    let runs = |first: char| {
        matches!(
            first,
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'
        )
    };
    match text.trim_start_matches(' ').starts_with(runs) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn row(evidence: &str) -> Past {
        Past {
            id: 1,
            phone: "+16195550111".to_owned(),
            cause: "consumer_stop".to_owned(),
            action: "block".to_owned(),
            source: "texting".to_owned(),
            reason: Some("STOP".to_owned()),
            evidence: Some(evidence.to_owned()),
            decided_by: None,
            occurred_at: DateTime::UNIX_EPOCH,
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn words_are_quoted_and_formulas_disarmed() {
        let text = String::from_utf8(lines(&[row("stop, \"now\"\nplease"), row("=1+1"), row(" @x")], true)).unwrap();
        let at = "1970-01-01T00:00:00+00:00,1970-01-01T00:00:00+00:00";
        let begin = "+16195550111,consumer_stop,block,texting,STOP";
        let wanted = format!(
            "{}\n{begin},\"stop, \"\"now\"\"\nplease\",,{at}\n{begin},'=1+1,,{at}\n{begin},' @x,,{at}\n",
            HEAD.join(",")
        );
        assert_eq!(text, wanted);
        assert!(lines(&[], false).is_empty());
    }
}
