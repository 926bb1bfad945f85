//! The load generator: keep-alive connections that write prebuilt requests and
//! look at no more of the answer than its status and length. It has one thread.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bodies::Template;

/// What to send, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Taken in turns.
    pub(crate) templates: Vec<Template>,
    /// The first delivery's number; the next ones count up from it.
    pub(crate) first: u64,
    /// Deliveries go round this many people, from person 0.
    pub(crate) people: u64,
    pub(crate) until: Until,
}

/// When to stop sending.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Count(u64),
    Elapsed(Duration),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// Deliveries answered 200.
    pub(crate) count: u64,
    pub(crate) elapsed: Duration,
    /// Of each delivery, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// Processor seconds of the load generator itself.
    pub(crate) cost: f64,
}

impl Sent {
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of deliveries stays below, in milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }
}

/// The value that this share of ascending `sorted` stays below, in milliseconds.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted
        .get(at)
        .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
}

impl Load {
    /// Sends on a thread of its own.
    pub(crate) async fn run(self) -> Sent {
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, self.send())
        })
        .await
        .unwrap()
    }

    async fn send(self) -> Sent {
        let before = crate::cpu::of_this_thread();
        let connections = self.connections;
        let load = Rc::new(self);
        let next = Rc::new(Cell::new(0u64));
        let mut lines = Vec::new();
        for _ in 0..connections {
            lines.push(Line::open(load.address).await);
        }
        let began = Instant::now();
        let tasks: Vec<_> = lines
            .into_iter()
            .map(|line| tokio::task::spawn_local(one_line(line, Rc::clone(&load), Rc::clone(&next), began)))
            .collect();
        let mut sent = Sent::default();
        for task in tasks {
            sent.latencies.extend(task.await.unwrap());
        }
        sent.elapsed = began.elapsed();
        sent.count = sent.latencies.len() as u64;
        sent.latencies.sort_unstable();
        sent.cost = crate::cpu::of_this_thread() - before;
        sent
    }
}

async fn one_line(mut line: Line, load: Rc<Load>, next: Rc<Cell<u64>>, began: Instant) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(4096);
    loop {
        let turn = next.get();
        let over = match load.until {
            Until::Count(count) => turn >= count,
            Until::Elapsed(length) => began.elapsed() >= length,
        };
        if over {
            return latencies;
        }
        next.set(turn + 1);
        let n = load.first + turn;
        let template = &load.templates[(turn % load.templates.len() as u64) as usize];
        let sent = Instant::now();
        line.post(template, n, n % load.people).await;
        latencies.push(sent.elapsed());
    }
}

/// One keep-alive connection.
pub(crate) struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            request: Vec::with_capacity(4096),
            answer: Vec::with_capacity(1024),
        }
    }

    /// Sends delivery `n` about `person` and reads the whole answer, which must be a 200.
    pub(crate) async fn post(&mut self, template: &Template, n: u64, person: u64) {
        template.write(n, person, &mut self.request);
        self.stream.write_all(&self.request).await.unwrap();
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(
                read > 0,
                "the daemon closed the connection: {}",
                String::from_utf8_lossy(&self.answer)
            );
            if let Some(length) = length_of(&self.answer)
                && self.answer.len() >= length
            {
                break;
            }
        }
        let text = || String::from_utf8_lossy(&self.answer).into_owned();
        assert!(
            self.answer.starts_with(b"HTTP/1.1 200"),
            "delivery {n} was answered {}",
            text()
        );
        let repeat = self.answer.windows(9).any(|window| window == b"Duplicate");
        assert!(!repeat, "delivery {n} was taken for a repeat: {}", text());
    }
}

/// The length of head and body, once the head is there.
fn length_of(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    Some(head + length.unwrap_or(0))
}
