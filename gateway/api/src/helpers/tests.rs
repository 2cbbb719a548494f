//! The helpers against a simulated Discord, without a broker.

use std::time::Duration;

use boot::{Context, Reader, SecretString};
use bytes::Bytes;
use futures_util::future::join;
use outbound::Errand;
use prost::Message as _;
use serde_json::json;
use sim::{Limit, RestConfig, Sim, State};
use tokio::time::Instant;
use wire::{
    discord::v1::{InteractionCallbackDataParams, InteractionCallbackParams, MessageParams},
    gateway::v1::{
        Code, DeleteMessagesRequest, DeleteMessagesResponse, Error, File, InteractionResponse,
        InteractionsCreateFollowupRequest, InteractionsCreateFollowupResponse,
        InteractionsEditOriginalRequest, InteractionsEditOriginalResponse,
        InteractionsGetOriginalRequest, InteractionsRespondRequest, InteractionsRespondResponse,
        ListAuditLogRequest, ListAuditLogResponse, ListBansRequest, ListBansResponse,
        ListMembersRequest, ListMembersResponse, ListMessagesRequest, ListMessagesResponse,
        ListReactionsRequest, ListReactionsResponse,
    },
};

use super::{List, deletion, interact};
use crate::{Config, Failure, Gateway, KEYS};

/// Discord's first millisecond.
const EPOCH_MS: u64 = 1_420_070_400_000;
const DAY_MS: u64 = 86_400_000;

struct Stage {
    sim: Sim,
    errand: Errand,
    guild: u64,
    channel: u64,
    context: Context,
}

impl Stage {
    async fn new(rest: RestConfig) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let config = sim::Config {
            guild_members: 2500,
            rest,
            ..sim::Config::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let url = sim.api_url();
        let variables = [
            ("DISCORD_TOKEN", "sim.token"),
            ("DISCORD_API_URL", &*url),
            ("API_FILE_URLS", "any"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut reader = Reader::of("api", KEYS, variables, None);
        let config = Config::read(&mut reader);
        let config = reader.finish(config).unwrap();
        let context = Context::new();
        let gateway = Gateway::start(&config.outbound, 1, &context).unwrap();
        let application_id = sim.settings().application_id;
        let settings = config.outbound.settings(50);
        let token = SecretString::from("sim.token");
        let check = context.health.check("discord");
        assert!(gateway.serve(application_id, Some(&token), settings, check));
        let guild = sim.guild_ids()[0];
        let deadline = Instant::now() + Duration::from_secs(30);
        Self {
            channel: sim.channel_ids(guild)[0],
            guild,
            errand: Errand::of(gateway, application_id, deadline),
            sim,
            context,
        }
    }

    async fn free() -> Self {
        Self::new(free()).await
    }

    /// All pages of a list.
    async fn pages(&self, list: Result<List, Failure>) -> Vec<Bytes> {
        let mut list = list.unwrap();
        let mut pages = Vec::new();
        loop {
            let page = list.next(&self.errand, self.errand.deadline).await;
            let (page, is_last) = page.unwrap();
            pages.push(page);
            if is_last {
                return pages;
            }
        }
    }

    async fn interact<A: prost::Message + Default>(
        &self,
        name: &str,
        asked: &impl prost::Message,
    ) -> Result<A, Error> {
        let done = interact(&self.errand, name, &asked.encode_to_vec()).await;
        let response = done.map_err(Error::from)?;
        Ok(A::decode(response.body).unwrap())
    }

    /// Puts a message of this age into the channel.
    fn put(&self, age_ms: u64) -> u64 {
        let id = (deletion::unix_ms() - EPOCH_MS - age_ms) << 22;
        self.sim.put_message(self.channel, id);
        id
    }
}

/// A Discord without limits.
fn free() -> RestConfig {
    RestConfig {
        global_limit: 0,
        default_limit: 0,
        limits: Vec::new(),
        reactors: 250,
        audit_log_entries: 230,
        ..RestConfig::default()
    }
}

/// A Discord that deletes twice an hour in each channel.
fn two_lots_an_hour() -> RestConfig {
    RestConfig {
        limits: vec![Limit {
            methods: vec!["POST".to_owned()],
            path: "channels/*/messages/bulk-delete".to_owned(),
            limit: 2,
            window_ms: 3_600_000,
            ..Limit::default()
        }],
        ..free()
    }
}

fn sizes<T>(pages: &[Vec<T>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn all_members_are_listed_page_by_page() {
    let stage = Stage::free().await;
    let asked = ListMembersRequest {
        guild_id: stage.guild,
        ..Default::default()
    };
    let pages = stage.pages(List::members(&asked)).await.into_iter();
    let pages: Vec<Vec<u64>> = pages
        .map(|page| ListMembersResponse::decode(page).unwrap().members)
        .map(|page| page.into_iter().map(|it| it.user.unwrap().id()).collect())
        .collect();
    assert_eq!(sizes(&pages), [1000, 1000, 500]);
    let all = pages.concat();
    assert!(all.is_sorted_by(|a, b| a < b));
    let some = ListMembersRequest {
        after: Some(all[9]),
        limit: 25,
        page_size: 10,
        ..asked
    };
    let pages = stage.pages(List::members(&some)).await.into_iter();
    let pages = pages.map(|page| ListMembersResponse::decode(page).unwrap().members);
    let pages: Vec<_> = pages.collect();
    assert_eq!(sizes(&pages), [10, 10, 5]);
    assert_eq!(pages[0][0].user.as_ref().unwrap().id(), all[10]);
    assert!(stage.sim.violations().is_empty());
}

#[tokio::test]
async fn messages_are_listed_from_either_end_and_in_between() {
    let stage = Stage::free().await;
    let ids: Vec<u64> = (0..230).rev().map(|age| stage.put(age * 1000)).collect();
    let list = async |asked: ListMessagesRequest| -> Vec<Vec<u64>> {
        let asked = ListMessagesRequest {
            channel_id: stage.channel,
            ..asked
        };
        let pages = stage.pages(List::messages(&asked)).await.into_iter();
        pages
            .map(|page| ListMessagesResponse::decode(page).unwrap().messages)
            .map(|page| page.iter().map(wire::discord::v1::Message::id).collect())
            .collect()
    };
    let newest_first: Vec<u64> = ids.iter().rev().copied().collect();
    let pages = list(ListMessagesRequest::default()).await;
    assert_eq!(sizes(&pages), [100, 100, 30]);
    assert_eq!(pages.concat(), newest_first);
    let after = list(ListMessagesRequest {
        after: Some(ids[99]),
        ..Default::default()
    });
    assert_eq!(after.await.concat(), ids[100..]);
    let between = list(ListMessagesRequest {
        after: Some(ids[9]),
        before: Some(ids[220]),
        ..Default::default()
    });
    assert_eq!(between.await.concat(), newest_first[10..220]);
    let empty = list(ListMessagesRequest {
        after: ids.last().copied(),
        ..Default::default()
    });
    assert_eq!(sizes(&empty.await), [0]);
}

#[tokio::test]
async fn bans_reactions_and_audit_logs_are_listed() {
    let stage = Stage::free().await;
    let (guild_id, channel_id) = (stage.guild, stage.channel);
    let client = reqwest::Client::new();
    for user in 1..=5 {
        let url = format!("{}/guilds/{guild_id}/bans/{user}", stage.sim.api_url());
        let banned = client.put(url).header("authorization", "Bot sim.token");
        let agent = discord::rest::USER_AGENT;
        banned.header("user-agent", agent).send().await.unwrap();
    }
    let bans = ListBansRequest {
        guild_id,
        before: Some(5),
        page_size: 3,
        ..Default::default()
    };
    let pages = stage.pages(List::bans(&bans)).await.into_iter();
    let bans = pages.flat_map(|page| ListBansResponse::decode(page).unwrap().bans);
    let users: Vec<u64> = bans.map(|ban| ban.user.unwrap().id()).collect();
    assert_eq!(users, [4, 3, 2, 1]);

    let reactions = ListReactionsRequest {
        channel_id,
        message_id: stage.put(0),
        emoji: "🔥".to_owned(),
        ..Default::default()
    };
    let pages = stage.pages(List::reactions(&reactions)).await.into_iter();
    let pages: Vec<_> = pages
        .map(|page| ListReactionsResponse::decode(page).unwrap().users)
        .collect();
    assert_eq!(sizes(&pages), [100, 100, 50]);

    let log = ListAuditLogRequest {
        guild_id,
        action_type: Some(20),
        page_size: 50,
        ..Default::default()
    };
    let pages = stage.pages(List::audit_log(&log)).await.into_iter();
    let logs: Vec<_> = pages
        .map(|page| {
            ListAuditLogResponse::decode(page)
                .unwrap()
                .audit_log
                .unwrap()
        })
        .collect();
    assert!(logs.iter().all(|log| log.users.len() == 2));
    let entries = logs.into_iter().map(|log| log.audit_log_entries);
    let entries: Vec<_> = entries.collect();
    assert_eq!(sizes(&entries), [50, 26]);
    assert!(entries.concat().is_sorted_by(|a, b| a.id() > b.id()));
}

#[tokio::test]
async fn what_a_list_cannot_do_is_told_with_the_field() {
    let stage = Stage::free().await;
    let members = |guild_id, page_size| {
        List::members(&ListMembersRequest {
            guild_id,
            page_size,
            ..Default::default()
        })
    };
    let refusals = [
        (members(0, 0), "`guild_id`"),
        (members(1, 1001), "`page_size`"),
        (
            List::reactions(&ListReactionsRequest {
                channel_id: 1,
                message_id: 2,
                ..Default::default()
            }),
            "`emoji`",
        ),
    ];
    for (list, field) in refusals {
        let error = Error::from(list.unwrap_err());
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message.starts_with(field), "{}", error.message);
    }
    let mut unknown = members(9, 0).unwrap();
    let failed = unknown.next(&stage.errand, stage.errand.deadline).await;
    let error = Error::from(failed.unwrap_err());
    assert_eq!(
        (error.code(), error.discord.unwrap().code),
        (Code::NotFound, 10_004)
    );
}

async fn delete(
    stage: &Stage,
    asked: DeleteMessagesRequest,
) -> Result<DeleteMessagesResponse, Error> {
    let asked = DeleteMessagesRequest {
        channel_id: stage.channel,
        ..asked
    };
    deletion::delete(&stage.errand, asked)
        .await
        .map_err(Error::from)
}

#[tokio::test]
async fn messages_of_any_number_and_age_are_deleted() {
    let stage = Stage::free().await;
    let young: Vec<u64> = (0..250).map(|age| stage.put(age * 1000)).collect();
    let old: Vec<u64> = (14..17).map(|days| stage.put(days * DAY_MS)).collect();
    let gone = young[249] - (1 << 30);
    let ids = [&young[..], &old, &[gone]].concat();
    let asked = DeleteMessagesRequest {
        message_ids: ids,
        audit_log_reason: "späm".to_owned(),
        ..Default::default()
    };
    let response = delete(&stage, asked.clone()).await.unwrap();
    assert_eq!(response.deleted_ids, [&young[..], &[gone]].concat());
    assert_eq!(response.failures.len(), 1);
    assert_eq!(response.failures[0].message_ids, old);
    let error = response.failures[0].error.as_ref().unwrap();
    assert_eq!(error.code(), Code::FailedPrecondition);
    let paths = stage.sim.requests().into_iter();
    let bulk = paths.filter(|it| it.path.ends_with("bulk-delete") && it.status == 204);
    assert_eq!(bulk.count(), 3);
    assert_eq!(stage.sim.message_ids(stage.channel).len(), 3);

    let asked = DeleteMessagesRequest {
        delete_old: true,
        ..asked
    };
    let response = delete(&stage, asked).await.unwrap();
    assert_eq!(
        (response.deleted_ids.len(), response.failures.len()),
        (254, 0)
    );
    assert!(stage.sim.message_ids(stage.channel).is_empty());
    assert!(stage.sim.violations().is_empty());
}

#[tokio::test]
async fn a_failure_before_anything_is_deleted_is_that_of_all_and_later_that_of_the_rest() {
    let stage = Stage::new(two_lots_an_hour()).await;
    let asked = DeleteMessagesRequest {
        message_ids: (0..250).map(|age| stage.put(age * 1000)).collect(),
        ..Default::default()
    };
    let response = delete(&stage, asked.clone()).await.unwrap();
    assert_eq!(response.deleted_ids, asked.message_ids[..200]);
    assert_eq!(response.failures.len(), 1);
    assert_eq!(response.failures[0].message_ids, asked.message_ids[200..]);
    let code = |error: &Error| error.code();
    let late = response.failures[0].error.as_ref().map(code);
    assert_eq!(late, Some(Code::DeadlineExceeded));
    let error = delete(&stage, asked).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    for count in [0, 10_001] {
        let asked = DeleteMessagesRequest {
            message_ids: vec![5; count],
            ..Default::default()
        };
        let error = delete(&stage, asked).await.unwrap_err();
        assert!(
            error.message.starts_with("`message_ids`"),
            "{}",
            error.message
        );
    }
    let forbidden = json!({"rest": {"forbidden": [stage.channel]}});
    stage
        .sim
        .change_settings(forbidden.as_object().unwrap())
        .unwrap();
    let asked = DeleteMessagesRequest {
        message_ids: vec![stage.put(0)],
        ..Default::default()
    };
    let error = delete(&stage, asked).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_lost_answer_to_a_bulk_deletion_is_no_harm() {
    let stage = Stage::free().await;
    let lose = || {
        stage.sim.change_faults(|faults| {
            (faults.rest_status, faults.rest_failures) = (Some(502), Some(1));
            faults.rest_executes = true;
        });
    };
    lose();
    let asked = DeleteMessagesRequest {
        message_ids: vec![stage.put(0), stage.put(1000)],
        ..Default::default()
    };
    let response = delete(&stage, asked.clone()).await.unwrap();
    assert_eq!(response.deleted_ids, asked.message_ids);
    // Alone, it is not there any more when it is asked for again.
    lose();
    let asked = DeleteMessagesRequest {
        message_ids: vec![stage.put(2000)],
        ..Default::default()
    };
    let response = delete(&stage, asked.clone()).await.unwrap();
    assert_eq!(response.deleted_ids, asked.message_ids);
    assert!(stage.sim.message_ids(stage.channel).is_empty());
}

#[tokio::test]
async fn a_lot_that_is_refused_does_not_keep_the_others() {
    let stage = Stage::free().await;
    stage.sim.change_faults(|faults| {
        (faults.rest_status, faults.rest_failures) = (Some(403), Some(1));
    });
    let asked = DeleteMessagesRequest {
        message_ids: (0..150).map(|age| stage.put(age * 1000)).collect(),
        ..Default::default()
    };
    let response = delete(&stage, asked.clone()).await.unwrap();
    assert_eq!(response.deleted_ids, asked.message_ids[100..]);
    assert_eq!(response.failures.len(), 1);
    assert_eq!(response.failures[0].message_ids, asked.message_ids[..100]);
}

#[tokio::test]
async fn a_deletion_that_the_end_interrupts_goes_back_as_a_whole() {
    let mut stage = Stage::new(two_lots_an_hour()).await;
    stage.errand.deadline += Duration::from_secs(7200);
    let asked = DeleteMessagesRequest {
        channel_id: stage.channel,
        message_ids: (0..250).map(|age| stage.put(age * 1000)).collect(),
        ..Default::default()
    };
    let stop = async {
        let two = |state: &State| state.rest.executed == 2;
        let waited = stage.sim.wait_for("two lots", Duration::from_secs(60), two);
        waited.await.unwrap();
        stage.context.shutdown.cancel();
    };
    let (done, ()) = join(deletion::delete(&stage.errand, asked), stop).await;
    assert!(matches!(done, Err(Failure::Stopping)), "{done:?}");
}

#[tokio::test]
async fn an_interaction_is_answered_edited_and_followed_up_with_files() {
    let stage = Stage::free().await;
    let token = || "abc".to_owned();
    let respond = InteractionsRespondRequest {
        interaction_id: 9,
        token: token(),
        response: Some(InteractionResponse {
            callback: Some(InteractionCallbackParams {
                r#type: Some(4),
                data: Some(InteractionCallbackDataParams {
                    content: Some("first".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            files: Vec::new(),
        }),
        with_response: true,
    };
    let done: InteractionsRespondResponse = stage.interact("Respond", &respond).await.unwrap();
    let message = done.callback.unwrap().resource.unwrap().message.unwrap();
    assert_eq!(message.content(), "first");
    let again = stage
        .interact::<InteractionsRespondResponse>("Respond", &respond)
        .await;
    let error = again.unwrap_err();
    assert_eq!(
        (error.code(), error.discord.unwrap().code),
        (Code::AlreadyExists, 40_060)
    );

    let file = File {
        filename: "a.txt".to_owned(),
        data: b"content".to_vec(),
        ..Default::default()
    };
    let edit = InteractionsEditOriginalRequest {
        token: token(),
        message: Some(Box::new(MessageParams {
            content: Some("edited".to_owned()),
            ..Default::default()
        })),
        files: vec![file],
    };
    let done: InteractionsEditOriginalResponse =
        stage.interact("EditOriginal", &edit).await.unwrap();
    let edited = done.message.unwrap();
    assert_eq!(edited.content(), "edited");

    // What Discord keeps can be sent again by its address.
    let follow = InteractionsCreateFollowupRequest {
        token: token(),
        message: None,
        files: vec![File {
            url: edited.attachments[0].url().to_owned(),
            ..Default::default()
        }],
    };
    let done: InteractionsCreateFollowupResponse =
        stage.interact("CreateFollowup", &follow).await.unwrap();
    let sent = &done.message.unwrap().attachments[0];
    assert_eq!((sent.filename(), sent.size()), ("a.txt", 7));
    assert!(stage.sim.violations().is_empty());
}

#[tokio::test]
async fn a_missing_token_is_named_as_the_method_names_it() {
    let stage = Stage::free().await;
    let nobody = InteractionsGetOriginalRequest {
        token: String::new(),
    };
    let error = stage
        .interact::<InteractionsEditOriginalResponse>("GetOriginal", &nobody)
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message.contains("`token`"), "{}", error.message);
    assert!(stage.sim.violations().is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_nothing_is_sent() {
    let stage = Stage::free().await;
    let before = stage.sim.requests().len();
    let base = stage.sim.api_url().replace("/api/v10", "");
    for (url, code) in [
        (format!("{base}/attachments/none"), Code::InvalidArgument),
        ("ftp://a.example/b".to_owned(), Code::InvalidArgument),
    ] {
        let follow = InteractionsCreateFollowupRequest {
            token: "abc".to_owned(),
            message: None,
            files: vec![File {
                url,
                ..Default::default()
            }],
        };
        let failed =
            stage.interact::<InteractionsCreateFollowupResponse>("CreateFollowup", &follow);
        let error = failed.await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(
            error.message.starts_with("`files[0].url`"),
            "{}",
            error.message
        );
    }
    let sent = stage.sim.requests().split_off(before);
    assert!(sent.iter().all(|it| it.method == "GET"), "{sent:?}");
}
