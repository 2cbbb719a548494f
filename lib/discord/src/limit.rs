//! Discord's rate limits as state machines without a clock and without I/O.
//!
//! Every moment is a [`Duration`](std::time::Duration) since an origin of the caller's choice, which must not go
//! backwards. Discord's clock is never compared with it: only `X-RateLimit-Reset-After` and `Retry-After` are used.

mod address;
mod answer;
mod bucket;
mod caller;
mod gone;
mod grants;
mod hold;
mod lane;
mod ledger;
mod pool;
mod scheduler;
mod share;
mod window;

pub use address::{Address, Level};
pub use answer::{Answer, Quota, Scope};
pub use bucket::Bucket;
pub use ledger::Ledger;
pub use scheduler::{Id, Refusal, Request, Scheduler, Settings, Step, Verdict};
pub use share::{Learned, Line, Member, Need, Outcome, Reply, Report, Shape, fingerprint};
pub use window::Window;
