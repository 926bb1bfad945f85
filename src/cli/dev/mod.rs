//! `dev`: the product in a minute. Daemon, embedded database and vendor
//! simulators, a scripted day through the real HTTP ingress, and what came of it.

mod closing;
mod live;
mod payloads;
mod setup;
mod stage;
mod story;
mod story_calls;
mod story_contacts;
mod story_texts;
mod story_trouble;
mod timeline;
mod watch;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::setup::Plan;
use self::stage::Stage;
use self::timeline::{Timeline, Tone};
use super::EX_SOFTWARE;
use super::serve::{self, Opened};
use crate::app::{self, App};
use crate::config::Surroundings;
use crate::ops::telemetry;
use crate::sandbox::Sandbox;
use crate::store::{self, Db};

/// The story did not end as told.
const DIFFERS: u8 = 1;

/// How a part of the evening ended.
enum Ending {
    /// By itself: whether all went as told.
    Played(bool),
    /// Somebody asked us to stop.
    Stopped,
    /// Something ended that should not have.
    Broken,
}

/// Plays the story; without `once` the daemon then runs until it is stopped.
pub(super) async fn dev(config: Option<&Path>, once: bool) -> anyhow::Result<ExitCode> {
    let sandbox = Sandbox::start().await.context("starting the vendor simulators")?;
    let plan = Plan::make(Surroundings::gather(config)?, &sandbox)?;
    telemetry::init(&plan.settings.server);
    let mut stops = Stops::listen()?;
    let listener = plan.listen(once)?;
    let base = format!("http://{}", reachable(listener.local_addr()?));
    let timeline = Timeline::new(plan.no_color);
    introduce(&timeline, &plan, &base, once);

    let opened = serve::open(&plan.settings.database).await?;
    let db = empty_database(&plan, &opened).await?;
    let secrets = plan.secrets.clone();
    let mut app = App::start(plan.settings, db.clone(), listener).await?;
    let mut stage = Stage::new(sandbox, db, base.clone(), secrets.clone(), timeline)?;

    let mut ending = attend(&mut app, &opened, &mut stops, async {
        story::play(&mut stage).await;
        closing::summary(&stage).await.unwrap_or_else(|error| {
            stage
                .timeline
                .line(Tone::Bad, &format!("  the summary cannot be made: {error:#}"));
            false
        })
    })
    .await;
    if let (Ending::Played(_), false) = (&ending, once) {
        let database = opened.embedded.as_ref().map(|embedded| embedded.url());
        closing::by_hand(&stage, &base, &secrets, database.as_deref());
        ending = attend(&mut app, &opened, &mut stops, async {
            stage.live().await;
            true
        })
        .await;
    }
    if matches!(ending, Ending::Stopped) {
        stage.timeline.line(Tone::Plain, "\nStopping.");
    }
    // A vendor that hangs must not hold the drain.
    stage.sandbox.clear_faults();
    app.stop().await;
    let code = match ending {
        Ending::Played(true) => ExitCode::SUCCESS,
        Ending::Stopped if !once => ExitCode::SUCCESS,
        Ending::Played(false) | Ending::Stopped => ExitCode::from(DIFFERS),
        Ending::Broken => return Ok(ExitCode::from(EX_SOFTWARE)),
    };
    opened.close().await?;
    Ok(code)
}

/// The signals that end us.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs `part` until it ends or something else does.
async fn attend(app: &mut App, opened: &Opened, stops: &mut Stops, part: impl Future<Output = bool>) -> Ending {
    let lost_database = async {
        match &opened.embedded {
            Some(embedded) => embedded.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        as_told = part => Ending::Played(as_told),
        () = stops.asked() => Ending::Stopped,
        name = app.ended_early() => {
            tracing::error!(task = name, "a task ended that should not");
            Ending::Broken
        }
        error = lost_database => {
            tracing::error!(%error, "the embedded database ended");
            Ending::Broken
        }
    }
}

/// Our own database with nothing in it but the schema.
async fn empty_database(plan: &Plan, opened: &Opened) -> anyhow::Result<Db> {
    plan.clear_spool()?;
    let cleaner = Db::new(opened.config.clone(), 1)?;
    store::dev::start_over(&cleaner.client().await?)
        .await
        .context("emptying the database")?;
    cleaner.close();
    app::open_database(opened.config.clone(), plan.settings.database.pool_size).await
}

fn introduce(timeline: &Timeline, plan: &Plan, base: &str, once: bool) {
    timeline.line(Tone::Strong, "df-middleware dev");
    timeline.line(Tone::Plain, &format!("  daemon     {base}"));
    timeline.line(
        Tone::Plain,
        "  vendors    simulated GoHighLevel, Aloware and texting vendor on local ports",
    );
    timeline.line(
        Tone::Plain,
        &format!(
            "  database   embedded, emptied, in {}",
            plan.settings.database.data_dir.display()
        ),
    );
    timeline.line(Tone::Plain, "  times      UTC");
    if !once && !base.ends_with(&format!(":{}", plan.settings.server.bind.port())) {
        timeline.line(
            Tone::Plain,
            &format!(
                "  note       {} is taken, so a free port is used",
                plan.settings.server.bind
            ),
        );
    }
    if !plan.ignored.is_empty() {
        timeline.line(
            Tone::Plain,
            &format!("  not used   {} (dev brings its own)", plan.ignored.join(", ")),
        );
    }
}

/// Where a listener on every address is reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
