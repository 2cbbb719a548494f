//! The record of all requests.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Scope;

/// Counts over all requests to Discord's routes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RestState {
    /// Requests, also those that were answered by a fault.
    pub requests: u64,
    /// Requests that did what they asked for.
    pub executed: u64,
    /// Requests that were answered by what an earlier one with their nonce had made.
    pub deduplicated: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// 429s by scope.
    pub limited: BTreeMap<Scope, u64>,
    /// 401, 403 and 429 within the last window.
    pub invalid: usize,
    /// Counters of limits.
    pub counters: usize,
}

/// One request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Request {
    /// Its number, from 1.
    pub number: u64,
    /// Milliseconds since the simulator started.
    pub at_ms: u64,
    /// The method.
    pub method: String,
    /// The path, without version.
    pub path: String,
    /// The status that it was answered with; 0: with none.
    pub status: u16,
    /// The scope of its 429.
    pub scope: Option<Scope>,
    /// The bucket that it counted for.
    pub bucket: Option<String>,
    /// The member `nonce` of its body.
    pub nonce: Option<String>,
}

/// All that was counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) state: RestState,
    newest: VecDeque<Request>,
}

impl Tally {
    /// The next request's number.
    pub(crate) fn arrived(&mut self) -> u64 {
        self.state.requests += 1;
        self.state.requests
    }

    /// Counts an answer.
    pub(crate) fn answered(&mut self, request: Request, kept: usize) {
        *self.state.statuses.entry(request.status).or_default() += 1;
        if let Some(scope) = request.scope {
            *self.state.limited.entry(scope).or_default() += 1;
        }
        self.newest.push_back(request);
        while self.newest.len() > kept {
            self.newest.pop_front();
        }
    }

    /// The requests from this number on, in the order of their answers.
    pub(crate) fn requests(&self, from: u64) -> Vec<Request> {
        let wanted = self.newest.iter().filter(|request| request.number >= from);
        wanted.cloned().collect()
    }
}
