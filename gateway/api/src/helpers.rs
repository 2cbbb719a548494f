//! What takes several requests to Discord, or has a name of its own: the methods of `api` that list and
//! delete, and the service `interactions`.

mod deletion;
mod interactions;
mod list;
mod lots;
mod pages;

use broker::Request;
use prost::{Message, Name};

use self::{interactions::Method, list::List};
use crate::{
    Failure,
    requests::{Errand, Response},
};

/// Discord's code for an interaction that has its first answer.
const ACKNOWLEDGED: u32 = 40_060;

impl Errand {
    /// Carries out a method of `api`, other than `Call`. Of a list all pages but the last are sent here.
    pub(crate) async fn help(
        &self,
        name: &str,
        request: &mut Request,
    ) -> Result<Response, Failure> {
        let list = match name {
            "DeleteMessages" => {
                let response = deletion::delete(self, read(request)?).await?;
                return Ok(Response::new(&response));
            }
            "ListAuditLog" => List::audit_log(&read(request)?),
            "ListBans" => List::bans(&read(request)?),
            "ListMembers" => List::members(&read(request)?),
            "ListMessages" => List::messages(&read(request)?),
            "ListReactions" => List::reactions(&read(request)?),
            _ => return Err(Failure::Unimplemented("api", name.to_owned())),
        };
        list?.send(self, request).await
    }

    /// Carries out a method of `interactions`.
    pub(crate) async fn interact(&self, name: &str, message: &[u8]) -> Result<Response, Failure> {
        let unknown = || Failure::Unimplemented("interactions", name.to_owned());
        let method = Method::find(name).ok_or_else(unknown)?;
        let made = method.request(message, self.application_id);
        let made = made.map_err(|why| Failure::invalid("body", why))?;
        let response = match self.typed(method.operation, &made).await {
            Err(Failure::Discord(answer)) if answer.code() == ACKNOWLEDGED => {
                return Err(Failure::Acknowledged(answer));
            }
            Err(Failure::Invalid { field, why }) => {
                // What the operation calls otherwise.
                let why = why.replace("interaction_token", "token");
                let why = why.replace("webhook_token", "token");
                return Err(Failure::Invalid { field, why });
            }
            response => response?,
        };
        let body = method.answer(&response.body);
        let body = body.map_err(|error| Failure::Odd(error.to_string()))?;
        Ok(Response {
            type_name: method.response.to_owned(),
            body: body.into(),
            is_end: false,
        })
    }
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
