//! A master that is killed, stopped, replaced and cut off from its replica, under a sentinel.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::{Servers, assert_flawless_under};
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::redis_sentinel::{RedisSentinel, confirms_changes, info, wait};

/// Makes `master` the server that is the master now.
fn follow_roles(redis: &mut RedisSentinel) {
    if info(&redis.master, "role") != "master" {
        std::mem::swap(&mut redis.master, &mut redis.replica);
    }
}

fn wait_until_whole(redis: &mut RedisSentinel) {
    wait("one server follows the other", || {
        confirms_changes(&redis.master) || confirms_changes(&redis.replica)
    });
    follow_roles(redis);
    wait("the sentinel knows the master", || {
        redis.named_master() == redis.master.port
    });
}

impl Servers for RedisSentinel {
    fn url(&self) -> String {
        self.url()
    }

    fn connect(&self) -> DirectConnection {
        DirectConnection::to([self.master.url().as_str()])
    }

    fn harm(&mut self, rng: &mut Rng) -> &'static str {
        harm(self, rng)
    }
}

fn harm(redis: &mut RedisSentinel, rng: &mut Rng) -> &'static str {
    let harm = match rng.below(4) {
        0 => {
            redis.master.kill();
            // A master without persistence that starts before the sentinel has another is the master again,
            // and empty.
            wait("the sentinel names the replica", || redis.has_failed_over());
            redis.master.restart();
            "killed the master"
        }
        1 => {
            redis.master.signal(Signal::STOP);
            sleep(Duration::from_millis(500));
            redis.master.signal(Signal::CONT);
            "stopped the master"
        }
        2 => {
            redis.fail_over();
            wait("the replica takes over", || {
                info(&redis.replica, "role") == "master"
            });
            "exchanged the master and its replica"
        }
        _ => {
            redis.replica.run("CONFIG SET masterauth nothing");
            redis.master.run("CLIENT KILL TYPE replica");
            sleep(Duration::from_secs(2));
            redis.replica.run("CONFIG SET masterauth ");
            "cut off the replica"
        }
    };
    wait_until_whole(redis);
    harm
}

#[tokio::test]
#[ignore = "takes ten minutes: make chaos"]
async fn nothing_is_lost_or_wrong_under_a_sentinel() {
    assert_flawless_under(RedisSentinel::start()).await;
}
