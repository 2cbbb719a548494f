//! The scripts: what has to happen at once, or not at all, happens inside of Redis.

use redis::Script;

macro_rules! script {
    ($($file:literal)*) => {
        Script::new(concat!(include_str!("common.lua"), $(include_str!($file)),*))
    };
}

/// All of them.
pub(super) struct Scripts {
    pub(super) acquire: Script,
    pub(super) address: Script,
    pub(super) beat: Script,
    pub(super) beat_calls: Script,
    pub(super) forget: Script,
    pub(super) identify: Script,
    pub(super) leave: Script,
    pub(super) limits: Script,
    pub(super) plan: Script,
    pub(super) put_tail: Script,
    pub(super) release: Script,
    pub(super) release_call: Script,
    pub(super) renew_call: Script,
    pub(super) save: Script,
    pub(super) tails: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            acquire: script!("leases.lua" "acquire.lua"),
            address: script!("address.lua"),
            beat: script!("leases.lua" "alive.lua" "beat.lua"),
            beat_calls: script!("leases.lua" "alive.lua" "beat_calls.lua"),
            forget: script!("forget.lua"),
            identify: script!("identify.lua"),
            leave: script!("leave.lua"),
            limits: script!("limits.lua"),
            plan: script!("plan.lua"),
            put_tail: script!("leases.lua" "put_tail.lua"),
            release: script!("leases.lua" "release.lua"),
            release_call: script!("leases.lua" "release_call.lua"),
            renew_call: script!("leases.lua" "renew_call.lua"),
            save: script!("leases.lua" "save.lua"),
            tails: script!("tails.lua"),
        }
    }
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripts").finish_non_exhaustive()
    }
}
