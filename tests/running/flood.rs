//! Connections on which nothing but metrics is asked for, as fast as they are given: the ticks of the evaluator go on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use keywatch_store::Event;

use super::machine::{Machine, Rule};
use crate::support::clock;

const QUIET: Rule =
    Rule { id: "own/quiet", sql: "SELECT event_id, actor AS entity FROM events WHERE kind = 'session.presented'" };

const CONNECTIONS: usize = 8;

const FLOOD_SECONDS: u64 = 8;

/// Asks again and again, many requests at once, and reads what comes, until the time is over. Gives the bytes.
fn ask(address: &str, until: Instant) -> usize {
    let requests = "GET /metrics HTTP/1.1\r\nHost: keywatch\r\n\r\n".repeat(64);
    let mut answers = TcpStream::connect(address).unwrap();
    answers.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut asking = answers.try_clone().unwrap();
    let asking = thread::spawn(move || while asking.write_all(requests.as_bytes()).is_ok() {});
    let (mut buffer, mut received) = (vec![0; 1 << 20], 0);
    while Instant::now() < until {
        // No answer within the timeout: the machine is busy.
        received += answers.read(&mut buffer).unwrap_or(0);
    }
    answers.shutdown(Shutdown::Both).unwrap();
    asking.join().unwrap();
    received
}

fn now() -> i64 {
    clock::now().0
}

#[tokio::test]
async fn a_flood_of_questions_does_not_hold_up_the_ticks() {
    let machine = Machine::new(QUIET);
    let running = machine.start().await;
    let address = running.url().strip_prefix("http://").unwrap();
    let (begun, until) = (now(), Instant::now() + Duration::from_secs(FLOOD_SECONDS));
    let received: Vec<usize> = thread::scope(|scope| {
        let floods: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(move || ask(address, until))).collect();
        floods.into_iter().map(|flood| flood.join().unwrap()).collect()
    });
    let ended = now();
    running.stop();

    assert!(received.iter().all(|bytes| *bytes > 0), "each is answered: {received:?}");
    let is_in_time = |event: &&Event| event.kind() == "tick" && (begun..ended).contains(&event.time().0);
    let ticks = machine.record().events.iter().filter(is_in_time).count() as u64;
    // One a second; the machine may be busy with other tests.
    assert!(ticks >= FLOOD_SECONDS / 2, "{ticks} ticks in {FLOOD_SECONDS} s");
}
