//! The app's life on a virtual clock.

use supervise::machine::app::{AppAction, AppEvent, AppSettings};
use supervise::machine::{AppMachine, Ending};

/// A machine, its clock, and everything it ever asked for.
struct World {
    machine: AppMachine,
    now: u64,
    done: Vec<AppAction>,
}

fn settings(processes: u32) -> AppSettings {
    AppSettings {
        processes,
        threads: 1,
        mercy_ms: 60_000,
        reload_mercy_ms: 60_000,
        need_app: false,
    }
}

impl World {
    fn new(settings: AppSettings) -> World {
        let (machine, done) = AppMachine::start(settings, 16);
        World { machine, now: 0, done }
    }

    /// A world whose workers, on seats 0 and up, all accept.
    fn serving(processes: u32) -> World {
        let mut world = World::new(settings(processes));
        world.load_and_accept(1, &(0..processes).collect::<Vec<_>>());
        world.now += 10_000;
        world.done.clear();
        world
    }

    fn on(&mut self, event: AppEvent) -> Vec<AppAction> {
        let actions = self.machine.handle(self.now, event);
        self.done.extend(actions.clone());
        actions
    }

    fn load_and_accept(&mut self, generation: u64, seats: &[u32]) {
        self.on(AppEvent::NurseryLoaded(generation));
        for seat in seats {
            self.on(AppEvent::Forked(*seat, 1000 + seat));
            self.on(AppEvent::Accepting(*seat));
        }
    }

    fn wait(&mut self, ms: u64) -> Vec<AppAction> {
        self.now += ms;
        self.on(AppEvent::Tick)
    }

    fn dies(&mut self, seat: u32) -> Vec<AppAction> {
        self.on(AppEvent::WorkerGone(seat, Ending::Killed(9)))
    }

    fn said(&self, part: &str) -> bool {
        self.done
            .iter()
            .any(|action| matches!(action, AppAction::Say(_, text) if text.contains(part)))
    }

    fn position(&self, wanted: &AppAction) -> Option<usize> {
        self.done.iter().position(|action| action == wanted)
    }
}

fn fork_seats(actions: &[AppAction]) -> Vec<u32> {
    let seat = |action: &AppAction| match action {
        AppAction::Fork { seat, .. } => Some(*seat),
        _ => None,
    };
    actions.iter().filter_map(seat).collect()
}

#[test]
fn workers_are_forked_when_the_app_has_loaded_and_not_before() {
    let mut world = World::new(settings(3));
    assert_eq!(world.done, [AppAction::StartNursery(1)]);
    assert_eq!(world.wait(60_000), []);
    let actions = world.on(AppEvent::NurseryLoaded(1));
    assert_eq!(fork_seats(&actions), [0, 1, 2]);
}

#[test]
fn a_killed_worker_is_asked_for_again_at_once() {
    let mut world = World::serving(2);
    let actions = world.dies(1);
    assert_eq!(fork_seats(&actions), [1]);
    assert!(
        world.said("DAMN ! worker 2 (pid: 1001) died, killed by signal 9 :( trying respawn ...")
    );
    world.on(AppEvent::Forked(1, 77));
    assert!(world.said("Respawned uWSGI worker 2 (new pid: 77)"));
}

#[test]
fn a_worker_that_keeps_dying_is_tried_ever_more_seldom_but_for_ever() {
    let mut world = World::serving(1);
    let mut gaps = Vec::new();
    world.dies(0);
    for _ in 0..12 {
        world.on(AppEvent::Forked(0, 5));
        let before = world.now;
        let mut actions = world.dies(0);
        while fork_seats(&actions).is_empty() {
            world.now = world.machine.next_deadline().unwrap();
            actions = world.on(AppEvent::Tick);
        }
        gaps.push(world.now - before);
    }
    assert_eq!(gaps[..4], [0, 100, 200, 400]);
    assert_eq!(gaps[8..], [5000, 5000, 5000, 5000]);
}

#[test]
fn a_reload_quiesces_the_old_workers_only_when_all_new_ones_accept() {
    let mut world = World::serving(2);
    world.on(AppEvent::Reload(settings(2)));
    let actions = world.on(AppEvent::NurseryLoaded(2));
    assert_eq!(fork_seats(&actions), [2, 3]);
    world.on(AppEvent::Forked(2, 20));
    world.on(AppEvent::Forked(3, 21));
    world.on(AppEvent::Accepting(2));
    assert_eq!(world.position(&AppAction::Quiesce(0)), None);
    let actions = world.on(AppEvent::Accepting(3));
    assert!(actions.contains(&AppAction::Quiesce(0)) && actions.contains(&AppAction::Quiesce(1)));
    assert!(actions.contains(&AppAction::StopNursery(1)));
    assert!(actions.contains(&AppAction::Promoted(2)));
    // The old ones are not replaced when they go.
    let actions = world.on(AppEvent::WorkerGone(0, Ending::Exited(0)));
    assert_eq!(fork_seats(&actions), [0; 0]);
    assert_eq!(world.machine.current_generation(), Some(2));
}

#[test]
fn new_code_that_does_not_load_leaves_the_old_workers_alone() {
    let mut world = World::serving(2);
    world.on(AppEvent::Reload(settings(2)));
    let actions = world.on(AppEvent::NurseryLoadFailed(2, "no module named `x`".into()));
    assert!(actions.contains(&AppAction::Abandoned(2)));
    assert!(world.said("no module named `x`"));
    assert_eq!(world.position(&AppAction::Quiesce(0)), None);
    assert_eq!(world.machine.current_generation(), Some(1));
    world.on(AppEvent::NurseryGone(2, Ending::Killed(9)));
    assert_eq!(fork_seats(&world.dies(0)), [0]);
}

#[test]
fn new_code_that_kills_its_process_leaves_the_old_workers_alone() {
    let mut world = World::serving(1);
    world.on(AppEvent::Reload(settings(1)));
    world.on(AppEvent::NurseryGone(2, Ending::Killed(11)));
    assert_eq!(world.machine.current_generation(), Some(1));
    assert_eq!(world.machine.accepting_count(), 1);
    assert!(world.said("killed by signal 11"));
    assert!(!world.done.contains(&AppAction::Quiesce(0)));
}

#[test]
fn new_code_whose_workers_die_before_they_accept_is_given_up() {
    let mut world = World::serving(1);
    world.on(AppEvent::Reload(settings(1)));
    world.on(AppEvent::NurseryLoaded(2));
    for pid in 0..3 {
        world.on(AppEvent::Forked(1, 50 + pid));
        world.dies(1);
        world.wait(5_000);
    }
    assert!(world.done.contains(&AppAction::Abandoned(2)));
    assert_eq!(world.machine.accepting_count(), 1);
}

#[test]
fn a_second_reload_takes_the_place_of_the_first() {
    let mut world = World::serving(1);
    world.on(AppEvent::Reload(settings(1)));
    let actions = world.on(AppEvent::Reload(settings(1)));
    assert!(actions.contains(&AppAction::KillNursery(2)));
    assert!(actions.contains(&AppAction::StartNursery(3)));
    world.on(AppEvent::NurseryGone(2, Ending::Killed(9)));
    world.load_and_accept(3, &[1]);
    assert_eq!(world.machine.current_generation(), Some(3));
}

#[test]
fn a_recycled_worker_goes_on_until_its_replacement_accepts() {
    let mut world = World::serving(1);
    let actions = world.on(AppEvent::Recycle(0, "max-requests".into()));
    assert_eq!(fork_seats(&actions), [1]);
    world.on(AppEvent::Forked(1, 42));
    assert!(!world.done.contains(&AppAction::Quiesce(0)));
    let actions = world.on(AppEvent::Accepting(1));
    assert_eq!(actions, [AppAction::Quiesce(0)]);
    // Asking twice does not make two of them.
    assert_eq!(world.on(AppEvent::Recycle(0, "max-requests".into())), []);
}

#[test]
fn a_recycled_worker_that_dies_first_never_takes_the_next_owner_of_its_seat_with_it() {
    let mut world = World::serving(1);
    world.on(AppEvent::Recycle(0, "harakiri".into()));
    assert_eq!(fork_seats(&world.dies(0)), [0; 0]);
    world.on(AppEvent::Recycle(1, "early".into()));
    world.on(AppEvent::Forked(1, 42));
    world.on(AppEvent::Accepting(1));
    assert!(!world.done.contains(&AppAction::Quiesce(0)));
    assert_eq!(world.machine.accepting_count(), 1);
}

#[test]
fn a_worker_that_ignores_quiesce_is_killed_after_the_mercy_time() {
    let mut world = World::serving(1);
    world.on(AppEvent::Stop);
    assert!(world.done.contains(&AppAction::Quiesce(0)));
    assert!(!world.wait(59_999).contains(&AppAction::Kill(0)));
    assert!(world.wait(1).contains(&AppAction::Kill(0)));
    assert!(world.said("NO MERCY"));
}

#[test]
fn a_stop_ends_when_the_last_process_is_gone() {
    let mut world = World::serving(2);
    world.on(AppEvent::Stop);
    world.on(AppEvent::NurseryGone(1, Ending::Exited(0)));
    world.on(AppEvent::WorkerGone(0, Ending::Exited(0)));
    assert!(!world.done.contains(&AppAction::Ended));
    let actions = world.on(AppEvent::WorkerGone(1, Ending::Exited(0)));
    assert!(actions.contains(&AppAction::Ended));
    assert!(!world.said("DAMN"));
}

#[test]
fn a_second_stop_kills_at_once() {
    let mut world = World::serving(1);
    world.on(AppEvent::Stop);
    let actions = world.on(AppEvent::StopNow);
    assert!(actions.contains(&AppAction::Kill(0)) && actions.contains(&AppAction::KillNursery(1)));
}

#[test]
fn an_app_that_does_not_load_ends_the_service_only_with_need_app() {
    let mut world = World::new(AppSettings { need_app: true, ..settings(1) });
    let actions = world.on(AppEvent::NurseryLoadFailed(1, "nothing there".into()));
    assert!(actions.contains(&AppAction::GiveUp(22)));

    let mut world = World::new(settings(1));
    let actions = world.on(AppEvent::NurseryLoadFailed(1, "nothing there".into()));
    assert_eq!(fork_seats(&actions), [0]);
    assert!(world.said("nothing there"));
}

#[test]
fn a_dead_nursery_is_started_again_and_the_workers_stay() {
    let mut world = World::serving(2);
    let actions = world.on(AppEvent::NurseryGone(1, Ending::Killed(9)));
    assert!(actions.contains(&AppAction::StartNursery(1)));
    assert_eq!(world.machine.accepting_count(), 2);
    assert_eq!(fork_seats(&world.dies(0)), [0; 0]);
    assert_eq!(fork_seats(&world.on(AppEvent::NurseryLoaded(1))), [0]);
}

#[test]
fn a_worker_whose_death_nobody_reports_is_buried_when_its_socket_has_ended() {
    let mut world = World::serving(1);
    world.on(AppEvent::ControlEnded(0));
    assert_eq!(world.wait(999), []);
    let actions = world.wait(1);
    assert!(actions.contains(&AppAction::Kill(0)));
    assert_eq!(fork_seats(&actions), [0]);
}

#[test]
fn no_order_of_events_ever_uses_a_seat_twice_or_panics() {
    // A small generator with a fixed seed stands for the outside world.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut machine, _) = AppMachine::start(settings(3), 8);
    let (mut now, mut taken) = (0, std::collections::BTreeSet::new());
    for _ in 0..200_000 {
        let (seat, generation) = (next(8) as u32, 1 + next(40));
        now += next(700);
        let event = match next(12) {
            0 | 1 => AppEvent::NurseryLoaded(generation),
            2 => AppEvent::NurseryGone(generation, Ending::Killed(9)),
            3 | 4 => AppEvent::Forked(seat, 100 + seat),
            5 | 6 => AppEvent::Accepting(seat),
            7 => AppEvent::Recycle(seat, "why".into()),
            8 => AppEvent::WorkerGone(seat, Ending::Exited(1)),
            9 => AppEvent::ControlEnded(seat),
            10 if next(20) == 0 => AppEvent::Reload(settings(1 + next(3) as u32)),
            11 if next(20) == 0 => AppEvent::NurseryLoadFailed(generation, "x".into()),
            _ => AppEvent::Tick,
        };
        for action in machine.handle(now, event) {
            match action {
                AppAction::Fork { seat, .. } => assert!(taken.insert(seat)),
                AppAction::Free(seat) => assert!(taken.remove(&seat)),
                _ => {}
            }
        }
        if let Some(deadline) = machine.next_deadline() {
            assert!(deadline > now, "{deadline} is not after {now}");
        }
    }
}
