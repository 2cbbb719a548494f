//! `gateway-http` as a process, between the simulated Discord and workers.

mod answers;
mod ends;
mod hostile;
mod outages;
mod same;
