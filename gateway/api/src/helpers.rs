//! What takes several requests to Discord, or has a name of its own: the methods of `api` that list and
//! delete, and the service `interactions`.

mod deletion;
mod interactions;
mod list;
mod lots;
mod pages;

use broker::Request;
use outbound::{Errand, Response};
use prost::{Message, Name};

pub(crate) use self::interactions::interact;
use self::list::List;
use crate::Failure;

/// Carries out a method of `api`, other than `Call`. Of a list all pages but the last are sent here.
pub(crate) async fn help(
    errand: &Errand,
    name: &str,
    request: &mut Request,
) -> Result<Response, Failure> {
    let list = match name {
        "DeleteMessages" => {
            let response = deletion::delete(errand, read(request)?).await?;
            return Ok(Response::new(&response));
        }
        "ListAuditLog" => List::audit_log(&read(request)?),
        "ListBans" => List::bans(&read(request)?),
        "ListMembers" => List::members(&read(request)?),
        "ListMessages" => List::messages(&read(request)?),
        "ListReactions" => List::reactions(&read(request)?),
        _ => return Err(Failure::Unimplemented("api", name.to_owned())),
    };
    list?.send(errand, request).await
}

/// The request message.
fn read<M: Message + Name + Default>(request: &Request) -> Result<M, Failure> {
    let read = request.decode();
    read.map_err(|failure| Failure::invalid("body", failure.message))
}

/// An id that the request cannot do without.
fn present(field: &str, id: u64) -> Result<u64, Failure> {
    match id {
        0 => Err(Failure::invalid(field, "it is missing")),
        id => Ok(id),
    }
}

#[cfg(test)]
mod tests;
