//! Sources of sound, from files, from servers of the tests' own, and through songbird to a simulated voice server.

#[cfg(test)]
mod formats;
#[cfg(test)]
mod hear;
#[cfg(test)]
mod ogg;
#[cfg(test)]
mod playing;
#[cfg(test)]
mod seeking;
#[cfg(test)]
mod site;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod web;
