//! The methods that list: what each reads at Discord, and how its pages become replies.

use std::collections::BTreeMap;

use broker::Request;
use bytes::Bytes;
use discord::route::Method;
use outbound::{Errand, Response, query};
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use transcode::{Schema, Scratch};
use wire::gateway::v1::{
    ListAuditLogRequest, ListBansRequest, ListMembersRequest, ListMessagesRequest,
    ListReactionsRequest,
};

use super::{
    pages::{Order, Pages, Wish},
    present,
};
use crate::Failure;

/// A list that is being read.
#[derive(Debug)]
pub(super) struct List {
    path: String,
    /// Parameters of all pages.
    parameters: Vec<(&'static str, String)>,
    pages: Pages,
    kind: &'static Kind,
}

/// One of Discord's lists.
#[derive(Debug)]
struct Kind {
    /// Where it is, with the names of the fields that stand in it.
    path: &'static str,
    /// The way it goes if the bounds do not say another one.
    order: Order,
    /// How many Discord gives in a page at most.
    most: u32,
    /// The response message, whose field 1 has the objects.
    response: &'static str,
    /// Full name of the message in field 1.
    object: &'static str,
    /// The member of that message that has the list; nothing: field 1 is the list.
    member: Option<&'static str>,
}

const MEMBERS: Kind = Kind {
    path: "/guilds/{guild_id}/members",
    order: Order::Up,
    most: 1000,
    response: "gateway.v1.ListMembersResponse",
    object: "discord.v1.Member",
    member: None,
};
const MESSAGES: Kind = Kind {
    path: "/channels/{channel_id}/messages",
    order: Order::Down,
    most: 100,
    response: "gateway.v1.ListMessagesResponse",
    object: "discord.v1.Message",
    member: None,
};
const BANS: Kind = Kind {
    path: "/guilds/{guild_id}/bans",
    order: Order::Up,
    most: 1000,
    response: "gateway.v1.ListBansResponse",
    object: "discord.v1.Ban",
    member: None,
};
const REACTIONS: Kind = Kind {
    path: "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
    order: Order::Up,
    most: 100,
    response: "gateway.v1.ListReactionsResponse",
    object: "discord.v1.User",
    member: None,
};
const AUDIT_LOG: Kind = Kind {
    path: "/guilds/{guild_id}/audit-logs",
    order: Order::Down,
    most: 100,
    response: "gateway.v1.ListAuditLogResponse",
    object: "discord.v1.AuditLog",
    member: Some("audit_log_entries"),
};

/// What a request wants of its list: the bounds that it has, `limit` and `page_size`.
macro_rules! wish {
    ($asked:ident $(, $bound:ident)*) => {{
        let mut wish = Wish::default();
        $(wish.$bound = $asked.$bound;)*
        (wish.limit, wish.page_size) = ($asked.limit, $asked.page_size);
        wish
    }};
}

impl List {
    /// The members of a guild.
    pub(super) fn members(asked: &ListMembersRequest) -> Result<Self, Failure> {
        let guild = ("guild_id", asked.guild_id);
        Self::new(&MEMBERS, &[guild], &wish!(asked, after))
    }

    /// The messages of a channel.
    pub(super) fn messages(asked: &ListMessagesRequest) -> Result<Self, Failure> {
        let channel = ("channel_id", asked.channel_id);
        Self::new(&MESSAGES, &[channel], &wish!(asked, before, after, around))
    }

    /// The bans of a guild.
    pub(super) fn bans(asked: &ListBansRequest) -> Result<Self, Failure> {
        let guild = ("guild_id", asked.guild_id);
        Self::new(&BANS, &[guild], &wish!(asked, before, after))
    }

    /// Those who reacted to a message.
    pub(super) fn reactions(asked: &ListReactionsRequest) -> Result<Self, Failure> {
        let channel = ("channel_id", asked.channel_id);
        let message = ("message_id", asked.message_id);
        let mut list = Self::new(&REACTIONS, &[channel, message], &wish!(asked, after))?;
        let emoji = rest::percent::encode(&asked.emoji);
        if matches!(&*emoji, "" | "." | "..") {
            let why = "it is missing: a standard emoji as it is written, or `name:id`";
            return Err(Failure::invalid("emoji", why));
        }
        list.path = list.path.replace("{emoji}", &emoji);
        list.fixed("type", asked.r#type);
        Ok(list)
    }

    /// The audit log of a guild.
    pub(super) fn audit_log(asked: &ListAuditLogRequest) -> Result<Self, Failure> {
        let guild = ("guild_id", asked.guild_id);
        let mut list = Self::new(&AUDIT_LOG, &[guild], &wish!(asked, before, after))?;
        list.fixed("user_id", asked.user_id);
        list.fixed("target_id", asked.target_id);
        list.fixed("action_type", asked.action_type);
        Ok(list)
    }

    fn new(kind: &'static Kind, ids: &[(&str, u64)], wish: &Wish) -> Result<Self, Failure> {
        let mut path = kind.path.to_owned();
        for (name, id) in ids {
            let id = present(name, *id)?;
            path = path.replace(&format!("{{{name}}}"), &id.to_string());
        }
        let pages = Pages::new(kind.order, kind.most, wish);
        let pages = pages.map_err(|(field, why)| Failure::invalid(field, why))?;
        Ok(Self {
            path,
            parameters: Vec::new(),
            pages,
            kind,
        })
    }

    fn fixed(&mut self, name: &'static str, value: Option<impl ToString>) {
        self.parameters
            .extend(value.map(|value| (name, value.to_string())));
    }

    /// Sends all pages but the last, which is returned.
    pub(super) async fn send(
        mut self,
        errand: &Errand,
        request: &mut Request,
    ) -> Result<Response, Failure> {
        let patience = request.call.timeout;
        let patience = patience.unwrap_or_else(|| errand.gateway.timeout());
        let mut deadline = errand.deadline;
        loop {
            let (body, is_last) = self.next(errand, deadline).await?;
            if is_last {
                return Ok(Response::end(self.kind.response, body));
            }
            let sent = request.part(self.kind.response, body).await;
            if !sent.map_err(|error| Failure::Reply(error.to_string()))? {
                tracing::debug!("nobody takes the pages of a list any more");
                return Ok(Response::end(self.kind.response, Bytes::new()));
            }
            let now = Instant::now();
            deadline = now.checked_add(patience).unwrap_or(now);
        }
    }

    /// Reads the next page: the encoded response message, and whether it is the last one.
    pub(super) async fn next(
        &mut self,
        errand: &Errand,
        deadline: Instant,
    ) -> Result<(Bytes, bool), Failure> {
        let mut parameters = self.parameters.clone();
        let page = self.pages.parameters().into_iter();
        parameters.extend(page.map(|(name, value)| (name, value.to_string())));
        let mut call = errand.call(Method::Get, self.path.clone());
        call.query = query(
            parameters
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        call.deadline = deadline;
        let answer = errand.send(call).await?;
        self.read(errand.gateway.operations().schema(), &answer.body)
    }

    /// The response message for a page of Discord's.
    fn read(&mut self, schema: &Schema, body: &[u8]) -> Result<(Bytes, bool), Failure> {
        let (objects, is_last) = self.objects(body).map_err(|error| odd(&error))?;
        let shape = schema.shape(self.kind.object);
        let shape = shape.ok_or_else(|| odd(&"the contract has no such object"))?;
        let mut scratch = Scratch::default();
        let mut response = Vec::with_capacity(body.len());
        for object in objects {
            let object = schema.parse(shape, object.get().as_bytes(), &mut scratch);
            let object = object.map_err(|error| odd(&error))?;
            encode_key(1, WireType::LengthDelimited, &mut response);
            encode_varint(object.len() as u64, &mut response);
            response.extend_from_slice(object);
        }
        Ok((response.into(), is_last))
    }

    /// The objects of a page that belong to the list, in its order, as JSON.
    fn objects(&mut self, body: &[u8]) -> serde_json::Result<(Vec<Box<RawValue>>, bool)> {
        let Some(member) = self.kind.member else {
            let all: Vec<&RawValue> = serde_json::from_slice(body)?;
            let (kept, is_last) = self.kept(&all)?;
            return Ok((kept.into_iter().map(ToOwned::to_owned).collect(), is_last));
        };
        let mut whole: BTreeMap<String, &RawValue> = serde_json::from_slice(body)?;
        let all = whole.get(member).map_or("[]", |value| value.get());
        let (kept, is_last) = self.kept(&serde_json::from_str::<Vec<&RawValue>>(all)?)?;
        let kept = serde_json::value::to_raw_value(&kept)?;
        whole.insert(member.to_owned(), &kept);
        Ok((vec![serde_json::value::to_raw_value(&whole)?], is_last))
    }

    fn kept<'a>(&mut self, all: &[&'a RawValue]) -> serde_json::Result<(Vec<&'a RawValue>, bool)> {
        let ids = all.iter().map(|object| id(object));
        let page = self.pages.take(&ids.collect::<Result<Vec<u64>, _>>()?);
        let kept = page.places.into_iter().map(|place| all[place]);
        Ok((kept.collect(), page.is_last))
    }
}

/// What an object is known by: its own id, or that of the user whom it is about.
fn id(object: &RawValue) -> serde_json::Result<u64> {
    #[derive(Deserialize)]
    struct Object {
        id: Option<String>,
        user: Option<User>,
    }
    #[derive(Deserialize)]
    struct User {
        id: String,
    }
    let object: Object = serde_json::from_str(object.get())?;
    let id = object.id.or(object.user.map(|user| user.id));
    let id = id.and_then(|id| id.parse().ok());
    id.ok_or_else(|| serde::de::Error::custom("an object of the list has no id"))
}

fn odd(error: &dyn std::fmt::Display) -> Failure {
    Failure::Odd(format!("Discord's answer is no page of the list: {error}"))
}
