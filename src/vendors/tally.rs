//! How many calls a piece of work makes: what an event costs is a promise, and
//! promises are measured.

use std::cell::Cell;

tokio::task_local! {
    static CALLS: Cell<u32>;
}

/// Does the work and counts the calls that left for a vendor meanwhile, refused
/// and unanswered ones included.
pub async fn counted<F: Future>(work: F) -> (F::Output, u32) {
    let counting = async {
        let output = work.await;
        (output, CALLS.with(Cell::get))
    };
    CALLS.scope(Cell::new(0), counting).await
}

/// A call leaves. Work that nobody counts is not counted.
pub(super) fn count() {
    CALLS.try_with(|calls| calls.set(calls.get() + 1)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_piece_of_work_has_a_count_of_its_own() {
        count();
        let twice = async {
            count();
            tokio::task::yield_now().await;
            count();
        };
        let (((), two), ((), one)) = tokio::join!(counted(twice), counted(async { count() }));
        assert_eq!((two, one), (2, 1));
    }
}
