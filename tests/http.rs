//! `gateway-http` as a process, between the simulated Discord and workers.

mod answers;
mod callbacks;
mod ends;
mod hostile;
mod outages;
mod registration;
mod same;
