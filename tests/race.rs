//! Quota is exact when everybody asks at once.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use support::Dev;

const ROUNDS: usize = 20;
const CLIENTS: usize = 64;
const FIT: usize = 5;
const SIZE: usize = 1000;

// proves: I2 I3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_that_ask_at_once_exactly_as_many_get_in_as_fit() {
    let quota = (FIT * SIZE + SIZE - 1).to_string();
    let dev = Dev::start(&[("WHARF_QUOTA__DEFAULT_BYTES", &quota), ("WHARF_UPLOAD__MAX_BYTES", "1000")]);
    for round in 0..ROUNDS {
        let api = dev.user(&format!("racer-{round}"));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let api = api.clone();
            clients.spawn(async move { api.presign(&format!("{client}.bin"), SIZE).await });
        }
        let answers = clients.join_all().await;
        let granted = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(granted, FIT, "round {round}");
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(refused.code(409), "quota_exceeded", "round {round}");
        }
        let usage = api.usage().await;
        assert_eq!(usage["reserved_bytes"], FIT * SIZE, "round {round}: 0 bytes over");
        assert_eq!(usage["pending_count"], FIT, "round {round}");
    }
}
