//! What the spool promises: order, bounds, and nothing acknowledged lost.

use std::path::Path;

use chrono::DateTime;

use super::spool::{Record, Spool};
use crate::domain::Source;

const ROOMY: u64 = 1 << 20;

fn record(n: usize) -> Record {
    from(Source::Aloware, n)
}

fn from(source: Source, n: usize) -> Record {
    Record::new(source, DateTime::UNIX_EPOCH, format!("{{\"n\":{n}}}"))
}

async fn all(spool: &Spool) -> Vec<Record> {
    spool.read(0, usize::MAX).await.unwrap().0
}

#[tokio::test]
async fn records_come_back_in_order_and_are_cleared_only_when_nothing_was_added() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append(vec![record(1), record(2)]).await.unwrap();
    let (records, upto) = spool.read(0, usize::MAX).await.unwrap();
    assert_eq!(records, [record(1), record(2)]);
    spool.append(vec![record(3)]).await.unwrap();
    assert!(!spool.clear(upto).await.unwrap());
    let (records, upto) = spool.read(0, usize::MAX).await.unwrap();
    assert_eq!(records.len(), 3);
    assert!(spool.clear(upto).await.unwrap());
    assert!(spool.is_empty());
}

async fn two_records(dir: &Path) -> Vec<u8> {
    let spool = Spool::open(dir, ROOMY).unwrap();
    spool.append(vec![record(1), record(2)]).await.unwrap();
    std::fs::read(dir.join("spool")).unwrap()
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_what_was_acknowledged_stays() {
    let dir = tempfile::tempdir().unwrap();
    let whole = two_records(dir.path()).await;
    for cut in 1..whole.len() {
        // A write that got through in part, and one whose pages were lost.
        let zeros = [&whole[..cut], &vec![0; whole.len() - cut]].concat();
        for torn in [&whole[..cut], &zeros] {
            std::fs::write(dir.path().join("spool"), torn).unwrap();
            let spool = Spool::open(dir.path(), ROOMY).unwrap();
            let kept = if cut < whole.len() / 2 { vec![] } else { vec![record(1)] };
            assert_eq!(all(&spool).await, kept, "cut at {cut}");
            spool.append(vec![record(9)]).await.unwrap();
            drop(spool);
            let spool = Spool::open(dir.path(), ROOMY).unwrap();
            assert_eq!(all(&spool).await, [kept, vec![record(9)]].concat(), "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn a_record_damaged_in_the_middle_costs_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = two_records(dir.path()).await;
    let json = 12;
    bytes[json] ^= 1;
    std::fs::write(dir.path().join("spool"), &bytes).unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    let (records, upto) = spool.read(0, 1).await.unwrap();
    assert_eq!(records, [record(2)]);
    assert!(
        spool.clear(upto).await.unwrap(),
        "the damage does not hold the spool up"
    );
}

#[tokio::test]
async fn a_second_daemon_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path(), ROOMY).unwrap();
    let error = Spool::open(dir.path(), ROOMY).unwrap_err();
    assert!(error.to_string().contains("DF_DATA_DIR"), "{error}");
    drop(first);
    Spool::open(dir.path(), ROOMY).unwrap();
}

#[tokio::test]
async fn a_successor_sees_that_deliveries_wait_and_takes_them_over_when_the_first_daemon_ends() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path(), ROOMY).unwrap();
    let next = Spool::behind(dir.path(), ROOMY).unwrap();
    assert!(next.is_empty());
    first.append(vec![record(1)]).await.unwrap();
    let waits = tokio::time::timeout(std::time::Duration::from_millis(200), next.wait_turn()).await;
    assert!(waits.is_err(), "the first daemon still has it");
    assert!(!next.is_empty(), "a STOP may be among what waits");
    assert_eq!(all(&next).await, [], "not ours to drain");
    assert!(!next.clear(next.pending_bytes()).await.unwrap(), "not ours to empty");
    let refused = next.append(vec![record(2)]).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ResourceBusy);
    drop(first);
    next.wait_turn().await;
    next.append(vec![record(2)]).await.unwrap();
    assert_eq!(all(&next).await, [record(1), record(2)]);
}

#[tokio::test]
async fn a_long_spool_is_read_piece_by_piece() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), ROOMY).unwrap();
    spool.append((0..50).map(record).collect()).await.unwrap();
    let (mut from, mut all) = (0, Vec::new());
    loop {
        let (records, upto) = spool.read(from, 300).await.unwrap();
        if records.is_empty() {
            break;
        }
        assert!(records.len() < 50);
        all.extend(records);
        from = upto;
    }
    assert_eq!(all, (0..50).map(record).collect::<Vec<_>>());
}

#[tokio::test]
async fn when_room_runs_out_ghl_is_refused_first_then_texting_and_aloware_last_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 10_000;
    let spool = Spool::open(dir.path(), limit).unwrap();
    let mut filled = Vec::new();
    for source in [Source::Ghl, Source::Texting, Source::Aloware] {
        let mut n = 0;
        while spool.append(vec![from(source, n)]).await.unwrap() == [true] {
            n += 1;
        }
        filled.push(spool.pending_bytes() * 100 / limit);
    }
    assert!(
        matches!(filled[..], [78..=80, 88..=90, 98..=100]),
        "percent at which each was refused: {filled:?}"
    );
}

#[tokio::test]
async fn one_batch_keeps_what_fits_and_refuses_only_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 1000).unwrap();
    while spool.append(vec![from(Source::Ghl, 1)]).await.unwrap() == [true] {}
    let batch = vec![from(Source::Ghl, 2), from(Source::Aloware, 3), from(Source::Ghl, 4)];
    assert_eq!(spool.append(batch).await.unwrap(), [false, true, false]);
    assert_eq!(all(&spool).await.last(), Some(&from(Source::Aloware, 3)));
}

#[tokio::test]
async fn what_is_set_aside_is_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 300).unwrap();
    let mut kept = 0;
    while spool.set_aside(record(kept), false).await.is_ok() {
        kept += 1;
    }
    assert!(kept > 0);
    let bytes = std::fs::metadata(dir.path().join("refused")).unwrap().len();
    assert!(bytes <= 300, "{bytes}");
}

#[tokio::test]
async fn what_is_set_aside_at_the_same_time_is_set_aside_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), 300).unwrap();
    let all: tokio::task::JoinSet<_> = (0..64)
        .map(|n| {
            let spool = spool.clone();
            async move { spool.set_aside(record(n), false).await }
        })
        .collect();
    let kept = all.join_all().await.iter().filter(|kept| kept.is_ok()).count();
    assert!(kept > 0);
    let bytes = std::fs::metadata(dir.path().join("refused")).unwrap().len();
    assert!(bytes <= 300, "{kept} were kept in {bytes} bytes");
}
