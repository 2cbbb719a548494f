//! `api.DeleteMessages`: any number of messages, of any age.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use discord::route::Method;
use http::{HeaderValue, header::CONTENT_TYPE};
use outbound::Errand;
use serde_json::json;
use wire::gateway::v1::{
    Code, DeleteMessagesFailure, DeleteMessagesRequest, DeleteMessagesResponse, Error,
};

use super::{lots::Plan, present};
use crate::{Call, Failure, raw::reason};

/// How many messages one request can name.
const MOST: usize = 10_000;
/// Discord's codes of errors that hold for all of a channel: what is asked next would fail as well.
const CHANNEL: [u32; 3] = [10_003, 50_001, 50_013];
/// Discord's code for a message that is not there.
const UNKNOWN_MESSAGE: u32 = 10_008;

/// Deletes the messages, as far as it can be done.
pub(super) async fn delete(
    errand: &Errand,
    request: DeleteMessagesRequest,
) -> Result<DeleteMessagesResponse, Failure> {
    let channel = present("channel_id", request.channel_id)?;
    let count = request.message_ids.len();
    if count == 0 || count > MOST {
        let why = format!("it has {count} ids, and may have 1 to {MOST}");
        return Err(Failure::invalid("message_ids", why));
    }
    let mut call = errand.call(Method::Post, format!("/channels/{channel}/messages"));
    reason(&mut call.headers, &request.audit_log_reason)?;
    let plan = Plan::new(request.message_ids, request.delete_old, unix_ms());
    let mut response = DeleteMessagesResponse::default();
    for (place, lot) in plan.lots.iter().enumerate() {
        let Err(failure) = delete_lot(errand, &call, lot).await else {
            response.deleted_ids.extend(lot);
            continue;
        };
        if is_of_these(&failure) {
            fail(&mut response, lot.clone(), failure.into());
            continue;
        }
        // Who stops hands all of it to the next process: it may be done twice.
        if response.deleted_ids.is_empty() || matches!(failure, Failure::Stopping) {
            return Err(failure);
        }
        fail(&mut response, plan.lots[place..].concat(), failure.into());
        break;
    }
    fail(&mut response, plan.old, too_old());
    Ok(response)
}

/// Whether others can be deleted all the same.
fn is_of_these(failure: &Failure) -> bool {
    let Failure::Discord(answer) = failure else {
        return false;
    };
    matches!(answer.status.as_u16(), 400 | 403 | 404) && !CHANNEL.contains(&answer.code())
}

/// Notes that some messages were not deleted.
fn fail(response: &mut DeleteMessagesResponse, message_ids: Vec<u64>, error: Error) {
    if !message_ids.is_empty() {
        response.failures.push(DeleteMessagesFailure {
            message_ids,
            error: Some(error),
        });
    }
}

async fn delete_lot(errand: &Errand, call: &Call, lot: &[u64]) -> Result<(), Failure> {
    let mut call = call.clone();
    if let [id] = lot {
        call.method = Method::Delete;
        call.path = format!("{}/{id}", call.path);
    } else {
        let ids: Vec<String> = lot.iter().map(u64::to_string).collect();
        call.path.push_str("/bulk-delete");
        call.body = Bytes::from(json!({ "messages": ids }).to_string());
        let json = HeaderValue::from_static("application/json");
        call.headers.insert(CONTENT_TYPE, json);
    }
    match errand.send(call).await {
        Err(Failure::Discord(answer)) if answer.code() == UNKNOWN_MESSAGE => Ok(()),
        done => done.map(drop),
    }
}

fn too_old() -> Error {
    Error {
        code: Code::FailedPrecondition.into(),
        message: "older than two weeks: Discord deletes such messages only one by one; ask with \
                  `delete_old` for that"
            .to_owned(),
        ..Error::default()
    }
}

pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
