//! A round asked for by hand keeps the rules of the running engine.

use std::sync::Arc;
use std::time::Duration;

use df_middleware::queue::Handler;
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Lab, Scripted, alive, limits, on, script};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_session_does_not_hold_takes_nothing_by_hand() {
    let lab = Lab::new().await;
    let handler = Scripted::new(script(|_, _| Ok(())));
    lab.type_events(&[("one", on(1))]).await;
    let engine = lab.engine(Arc::clone(&handler) as Arc<dyn Handler>, limits());
    assert_eq!(engine.run_once(10).await.unwrap(), (0, 0));
    assert!(handler.runs().is_empty());
    assert_eq!(lab.state("one").await["status"], "pending");
    let engine = alive(engine);
    assert_eq!(engine.run_once(10).await.unwrap(), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_ends_after_the_rounds_under_way_and_begins_no_more() {
    let lab = Lab::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let handler = Scripted::new(Arc::new(move |_, _, _| {
        let gate = Arc::clone(&held);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        }
        .boxed()
    }));
    lab.type_events(&[("one", on(1))]).await;
    let engine = alive(lab.engine(Arc::clone(&handler) as Arc<dyn Handler>, limits()));
    let round = Arc::clone(&engine);
    let round = tokio::spawn(async move { round.run_once(1).await.unwrap() });
    lab.until("SELECT status = 'processing' FROM webhook_events").await;
    let stop = CancellationToken::new();
    stop.cancel();
    let mut running = tokio::spawn(Arc::clone(&engine).run(stop, Duration::from_secs(60)));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut running).await;
    assert!(early.is_err(), "a call of the round is still on the wire");
    gate.add_permits(9);
    running.await.unwrap();
    assert_eq!(
        lab.state("one").await["status"],
        "done",
        "stored before the engine ended"
    );
    assert_eq!(round.await.unwrap(), (1, 0));
    lab.type_events(&[("two", on(2))]).await;
    assert_eq!(engine.run_once(1).await.unwrap(), (0, 0));
}
