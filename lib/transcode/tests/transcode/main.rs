//! The transcoder against an oracle, against broken input, and against the counter of allocations.

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod disorder;
#[cfg(test)]
mod dynamic;
#[cfg(test)]
mod envelope;
#[cfg(test)]
mod event;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod json;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod moment;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod parse;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod render;
