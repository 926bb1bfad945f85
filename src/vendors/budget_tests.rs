//! The budget, with the clock passed in wherever it decides.

use super::*;

fn rate(count: u32, millis: u64) -> Rate {
    Rate {
        count,
        period: Duration::from_millis(millis),
    }
}

fn day(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

const NOON: &str = "2026-11-23T12:00:00Z";

fn taken(place: &Place<'_>, now: Instant) -> bool {
    matches!(place.turn(now, day(NOON), now + LONGEST_WAIT), Turn::Taken)
}

#[test]
fn the_most_urgent_waiter_goes_first_and_equals_go_in_order() {
    let budget = Budget::new(rate(1, 1000), None);
    let mut now = Instant::now();
    let first = Place::take(&budget.shared, Priority::Background);
    assert!(taken(&first, now));
    drop(first);

    let mut waiting: Vec<_> = [
        Priority::Background,
        Priority::Contact,
        Priority::Message,
        Priority::OptOut,
        Priority::Contact,
    ]
    .into_iter()
    .map(|priority| Place::take(&budget.shared, priority))
    .collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        now += Duration::from_secs(1);
        let through: Vec<_> = waiting.iter().map(|place| taken(place, now)).collect();
        assert_eq!(through.iter().filter(|taken| **taken).count(), 1);
        let position = through.iter().position(|taken| *taken).unwrap();
        order.push(waiting.remove(position).me);
    }
    let tickets: Vec<_> = order.iter().map(|(_, ticket)| *ticket).collect();
    assert_eq!(tickets, [4, 3, 2, 5, 1]);
}

#[test]
fn no_window_ever_holds_more_than_the_rate() {
    let budget = Budget::new(rate(10, 1000), None);
    let start = Instant::now();
    let mut let_through = Vec::new();
    for step in 0..4000 {
        let now = start + Duration::from_millis(step);
        let place = Place::take(&budget.shared, Priority::OptOut);
        if taken(&place, now) {
            let_through.push(now);
        }
    }
    assert_eq!(let_through.len(), 40);
    for window in let_through.windows(11) {
        assert!(window[10] - window[0] >= Duration::from_secs(1));
    }
}

#[test]
fn a_backfill_leaves_room_for_an_opt_out() {
    let budget = Budget::new(rate(100, 10_000), None);
    let now = Instant::now();
    let fill = |priority| {
        (0..200)
            .filter(|_| taken(&Place::take(&budget.shared, priority), now))
            .count()
    };
    assert_eq!(fill(Priority::Background), 80);
    assert_eq!(fill(Priority::Contact), 15);
    assert_eq!(fill(Priority::OptOut), 5);
}

#[test]
fn a_turn_beyond_the_bound_is_refused_at_once_with_its_time() {
    let budget = Budget::new(rate(10, 1000), None);
    let now = Instant::now();
    budget.pause_until(now + Duration::from_secs(90));
    budget.pause_until(now + Duration::from_secs(5));
    let place = Place::take(&budget.shared, Priority::OptOut);
    let Turn::Refused(after) = place.turn(now, day(NOON), now + LONGEST_WAIT) else {
        panic!("let through in a pause");
    };
    assert_eq!(after, Duration::from_secs(90));
    assert!(taken(&place, now + Duration::from_secs(90)));
}

#[test]
fn the_day_ends_at_its_limit_and_begins_anew_at_midnight_utc() {
    let budget = Budget::new(rate(10, 1), Some(2));
    let now = Instant::now();
    let place = Place::take(&budget.shared, Priority::Contact);
    assert!(taken(&place, now));
    assert!(taken(&place, now));
    let Turn::Refused(after) = place.turn(now, day("2026-11-23T23:59:00Z"), now + LONGEST_WAIT) else {
        panic!("a third call let through");
    };
    assert_eq!(after, Duration::from_secs(60));
    let next_day = day("2026-11-24T00:00:00Z");
    assert!(matches!(place.turn(now, next_day, now + LONGEST_WAIT), Turn::Taken));
}

#[test]
fn each_of_two_processes_fills_half_and_the_second_half_comes_back_a_window_later() {
    let budget = Budget::new(rate(10, 1000), None);
    let now = Instant::now();
    let fill = |now| {
        (0..20)
            .filter(|_| taken(&Place::take(&budget.shared, Priority::OptOut), now))
            .count()
    };
    budget.share(2, now);
    assert_eq!(fill(now), 5);
    let alone = now + Duration::from_millis(200);
    budget.share(1, alone);
    assert_eq!(fill(alone), 0, "the other one's last calls are still in the window");
    assert_eq!(fill(now + Duration::from_secs(1)), 10);
}

#[test]
fn a_newcomer_makes_no_call_before_the_others_earlier_ones_have_left_the_window() {
    let budget = Budget::new(rate(10, 1000), None);
    budget.hold();
    let now = Instant::now();
    let place = Place::take(&budget.shared, Priority::OptOut);
    assert!(!taken(&place, now));
    assert_eq!(budget.open(now, true), now + Duration::from_secs(1));
    assert!(!taken(&place, now + Duration::from_millis(999)));
    assert!(taken(&place, now + Duration::from_secs(1)));
    budget.hold();
    assert!(!taken(&place, now + Duration::from_secs(2)));
    budget.open(now + Duration::from_secs(2), false);
    assert!(taken(&place, now + Duration::from_secs(2)), "nobody else was at work");
}

#[test]
fn a_call_counts_from_its_answer_but_a_slow_one_only_a_tenth_of_the_window_longer() {
    let budget = Budget::new(rate(2, 1000), None);
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    for _ in 0..2 {
        assert!(taken(&Place::take(&budget.shared, Priority::OptOut), start));
    }
    budget.answered(start, at(40));
    budget.answered(start, at(700));
    let place = Place::take(&budget.shared, Priority::OptOut);
    assert!(!taken(&place, at(1039)));
    assert!(taken(&place, at(1040)));
    assert!(!taken(&place, at(1099)));
    assert!(taken(&place, at(1100)));
}

#[test]
fn the_vendors_own_daily_count_steers() {
    let budget = Budget::new(rate(10, 1), Some(1000));
    let now = Instant::now();
    let signals = Signals {
        daily_remaining: Some(1),
        daily_reset: Some(Duration::from_secs(120)),
        ..Signals::default()
    };
    assert_eq!(budget.observe(&signals, false, now), None);
    let place = Place::take(&budget.shared, Priority::Contact);
    assert!(taken(&place, now));
    let Turn::Refused(after) = place.turn(now, day(NOON), now + LONGEST_WAIT) else {
        panic!("more than the vendor has left");
    };
    assert_eq!(after, Duration::from_secs(120));
    assert!(taken(&place, now + Duration::from_secs(120)));
}

#[test]
fn an_empty_window_and_a_429_pause_as_long_as_the_vendor_says() {
    let budget = Budget::new(rate(10, 10_000), None);
    let now = Instant::now();
    let seconds = |n| Some(Duration::from_secs(n));
    let empty = Signals {
        remaining: Some(0),
        interval: seconds(3),
        ..Signals::default()
    };
    assert_eq!(budget.observe(&empty, false, now), seconds(3));
    assert_eq!(budget.observe(&Signals::default(), true, now), seconds(10));
    let asked = Signals {
        retry_after: seconds(7),
        ..empty
    };
    assert_eq!(budget.observe(&asked, true, now), seconds(7));
    let over = Signals {
        daily_remaining: Some(0),
        daily_reset: seconds(4000),
        ..empty
    };
    assert_eq!(budget.observe(&over, true, now), seconds(4000));
    assert_eq!(
        budget.observe(
            &Signals {
                remaining: Some(4),
                ..empty
            },
            false,
            now
        ),
        None
    );
}

#[tokio::test]
async fn a_waiter_is_let_through_when_the_window_moves_on() {
    let budget = Budget::new(rate(2, 20), None);
    let started = Instant::now();
    for _ in 0..6 {
        budget.acquire(Priority::Contact).await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_waiter_that_gives_up_blocks_nobody() {
    let budget = Budget::new(rate(1, 50), None);
    budget.acquire(Priority::Contact).await.unwrap();
    let gives_up = tokio::spawn({
        let budget = budget.clone();
        async move { budget.acquire(Priority::OptOut).await }
    });
    while budget.shared.lock().queue.is_empty() {
        tokio::task::yield_now().await;
    }
    gives_up.abort();
    budget.acquire(Priority::Background).await.unwrap();
    assert!(budget.shared.lock().queue.is_empty());
}

#[tokio::test]
async fn a_crowd_beyond_the_bound_is_turned_away_instead_of_waiting() {
    let budget = Budget::with_longest_wait(rate(1, 60_000), None, Duration::from_millis(10));
    budget.acquire(Priority::Contact).await.unwrap();
    let refused = budget.acquire(Priority::Message).await.unwrap_err();
    let VendorError::RateLimited {
        retry_after: Some(after),
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert!(after > Duration::from_secs(50));
}
