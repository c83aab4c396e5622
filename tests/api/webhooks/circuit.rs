//! The circuit breaker of an endpoint, without sockets and clocks: outcomes are played into it.

use duologue::worker::webhooks::circuit::{Circuit, Permission};

const SECOND: u64 = 1000;
const FIRST_WAIT: u64 = 5 * SECOND;

/// A circuit that has just opened, at time 0.
fn open() -> Circuit {
    let mut circuit = Circuit::new(FIRST_WAIT);
    for _ in 0..5 {
        assert_eq!(circuit.permission(0), Permission::Everything);
        assert!(circuit.fail(0, false, None), "it counts as an attempt");
    }
    circuit
}

#[test]
fn it_opens_after_five_failures_in_a_row() {
    let mut circuit = Circuit::new(FIRST_WAIT);
    for _ in 0..4 {
        circuit.fail(0, false, None);
    }
    circuit.succeed();
    for _ in 0..4 {
        circuit.fail(0, false, None);
    }
    assert_eq!(circuit.permission(0), Permission::Everything);
    circuit.fail(0, false, None);
    assert_eq!(circuit.permission(0), Permission::NothingUntil(FIRST_WAIT));
}

#[test]
fn probes_are_sent_one_at_a_time_and_less_and_less_often() {
    let (mut circuit, mut now, mut waits) = (open(), 0, Vec::new());
    for _ in 0..10 {
        let Permission::NothingUntil(next) = circuit.permission(now) else {
            panic!("{circuit:?}");
        };
        waits.push((next - now) / SECOND);
        assert_eq!(circuit.permission(next - 1), Permission::NothingUntil(next));
        now = next;
        assert_eq!(circuit.permission(now), Permission::Probe);
        circuit.begin_probe();
        assert_eq!(circuit.permission(now + SECOND), Permission::Nothing);
        now += SECOND;
        assert!(!circuit.fail(now, true, None), "a probe is no attempt");
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
}

#[test]
fn a_success_closes_it_and_it_begins_anew() {
    let mut circuit = open();
    circuit.begin_probe();
    circuit.succeed();
    assert_eq!(circuit.permission(FIRST_WAIT), Permission::Everything);
    for _ in 0..5 {
        assert_eq!(circuit.permission(FIRST_WAIT), Permission::Everything);
        circuit.fail(FIRST_WAIT, false, None);
    }
    let next = 2 * FIRST_WAIT;
    assert_eq!(
        circuit.permission(FIRST_WAIT),
        Permission::NothingUntil(next)
    );
}

#[test]
fn what_was_sent_before_it_opened_neither_counts_nor_probes() {
    let mut circuit = open();
    assert!(!circuit.fail(SECOND, false, None));
    assert_eq!(
        circuit.permission(SECOND),
        Permission::NothingUntil(FIRST_WAIT)
    );
    circuit.begin_probe();
    assert!(!circuit.fail(FIRST_WAIT, false, None));
    assert_eq!(
        circuit.permission(FIRST_WAIT),
        Permission::Nothing,
        "the probe is not done"
    );
    circuit.succeed();
    assert_eq!(circuit.permission(FIRST_WAIT), Permission::Everything);
}

#[test]
fn it_waits_as_long_as_the_endpoint_asks() {
    let mut circuit = Circuit::new(FIRST_WAIT);
    assert!(!circuit.fail(0, false, Some(30 * SECOND)), "no attempt");
    assert_eq!(circuit.permission(0), Permission::NothingUntil(30 * SECOND));
    circuit.fail(SECOND, false, Some(60 * SECOND));
    assert_eq!(circuit.permission(0), Permission::NothingUntil(61 * SECOND));
    circuit.begin_probe();
    circuit.fail(61 * SECOND, true, Some(100 * SECOND));
    assert_eq!(
        circuit.permission(0),
        Permission::NothingUntil(161 * SECOND)
    );
}

#[test]
fn another_process_continues_where_one_was() {
    let mut circuit = open();
    circuit.begin_probe();
    circuit.fail(FIRST_WAIT, true, None);
    circuit.begin_probe();
    let mut restored = Circuit::restore(FIRST_WAIT, &circuit.to_text(), FIRST_WAIT);
    let next = 3 * FIRST_WAIT;
    assert_eq!(
        restored.permission(FIRST_WAIT),
        Permission::NothingUntil(next)
    );
    restored.begin_probe();
    restored.fail(next, true, None);
    assert_eq!(
        restored.permission(next),
        Permission::NothingUntil(next + 4 * FIRST_WAIT)
    );
    let closed = Circuit::new(FIRST_WAIT);
    for text in [
        closed.to_text().as_str(),
        "",
        "open",
        "open|x|y",
        "what|1|2",
    ] {
        assert_eq!(Circuit::restore(FIRST_WAIT, text, 0), closed, "{text}");
    }
    let wrong = Circuit::restore(FIRST_WAIT, "open|5000|9000000000000", 0);
    assert_eq!(wrong.permission(0), Permission::NothingUntil(3600 * SECOND));
}
