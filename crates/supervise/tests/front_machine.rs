//! The front's life on a virtual clock.

use supervise::machine::front::{FrontAction, FrontEvent};
use supervise::machine::{Ending, FrontMachine};

fn serving() -> FrontMachine {
    let (mut machine, actions) = FrontMachine::start(1, 60_000);
    assert_eq!(actions, [FrontAction::Start(1, 1)]);
    assert_eq!(machine.handle(0, FrontEvent::Ready(1, 1)), [FrontAction::Adopted(1)]);
    machine
}

#[test]
fn a_new_configuration_goes_to_the_running_process() {
    let mut machine = serving();
    let event = FrontEvent::Reconfigure { generation: 2, new_process: false };
    assert_eq!(machine.handle(10, event), [FrontAction::Configure(1, 2)]);
    assert_eq!(machine.handle(20, FrontEvent::Ready(1, 2)), [FrontAction::Adopted(2)]);
}

#[test]
fn a_refused_configuration_leaves_the_old_one_for_the_next_process_too() {
    let mut machine = serving();
    machine.handle(10, FrontEvent::Reconfigure { generation: 2, new_process: false });
    let actions = machine.handle(20, FrontEvent::Refused(1, 2, "no".into()));
    assert!(actions.contains(&FrontAction::Rejected(2)));
    let actions = machine.handle(5_000, FrontEvent::Gone(1, Ending::Killed(11)));
    assert!(actions.contains(&FrontAction::Start(2, 1)));
}

#[test]
fn a_first_configuration_that_is_refused_ends_with_code_1() {
    let (mut machine, _) = FrontMachine::start(1, 60_000);
    let actions = machine.handle(0, FrontEvent::Refused(1, 1, "no".into()));
    assert!(actions.contains(&FrontAction::GiveUp(1)));
}

#[test]
fn a_process_with_another_user_starts_beside_the_old_one_which_then_drains() {
    let mut machine = serving();
    let event = FrontEvent::Reconfigure { generation: 2, new_process: true };
    assert_eq!(machine.handle(10, event), [FrontAction::Start(2, 2)]);
    let actions = machine.handle(20, FrontEvent::Ready(2, 2));
    assert_eq!(actions, [FrontAction::Adopted(2), FrontAction::Quit(1)]);
    assert_eq!(machine.handle(30, FrontEvent::Gone(1, Ending::Exited(0))), []);
    assert_eq!(machine.live_processes().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_front_that_crashes_is_started_again_and_a_crash_loop_backs_off() {
    let mut machine = serving();
    let mut delays = Vec::new();
    let mut now = 100;
    for number in 1..8 {
        let mut actions = machine.handle(now, FrontEvent::Gone(number, Ending::Killed(11)));
        let died = now;
        while !actions.iter().any(|action| matches!(action, FrontAction::Start(..))) {
            now = machine.next_deadline().unwrap();
            actions = machine.handle(now, FrontEvent::Tick);
        }
        delays.push(now - died);
    }
    assert_eq!(delays, [0, 100, 200, 400, 800, 1600, 3200]);
}

#[test]
fn a_stop_drains_and_kills_what_does_not_finish() {
    let mut machine = serving();
    assert_eq!(machine.handle(0, FrontEvent::Stop(10_000)), [FrontAction::Quit(1)]);
    assert_eq!(machine.handle(9_999, FrontEvent::Tick), []);
    assert_eq!(machine.handle(10_000, FrontEvent::Tick), [FrontAction::Kill(1)]);
    let actions = machine.handle(10_001, FrontEvent::Gone(1, Ending::Killed(9)));
    assert_eq!(actions, [FrontAction::Ended]);
}
