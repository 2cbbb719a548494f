//! Every way that an interaction can go.

use broker::Answer;
use serde_json::{Value, json};
use wire::{
    discord::v1::{
        Interaction, InteractionCallbackParams, InteractionCallbackType as Type, InteractionType,
        Message,
    },
    gateway::v1::InteractionResponse,
};

use super::{Conversation, Deferral, Heard, JOBS, Job, Kind};
use crate::reply::Reply;

fn reply(kind: Type) -> Box<Reply> {
    let callback = InteractionCallbackParams {
        r#type: Some(kind.into()),
        ..InteractionCallbackParams::default()
    };
    let response = InteractionResponse {
        callback: Some(callback),
        ..InteractionResponse::default()
    };
    Box::new(Reply {
        kind,
        json: String::new(),
        response,
        answer: Answer::default(),
    })
}

fn of(kind: Kind) -> Conversation {
    Conversation::new(kind, false)
}

/// What a reply leads to, and the job that is left.
fn hear(conversation: &mut Conversation, kind: Type) -> (&'static str, Option<String>) {
    let heard = match conversation.hear(reply(kind)) {
        Heard::First(_) => "first",
        Heard::Later => "later",
        Heard::Nothing => "nothing",
        Heard::TooLate(_) => "late",
        Heard::TooMany => "many",
    };
    let job = conversation.job().map(|job| match job {
        Job::Apologise(deferral) => format!("apologise {deferral:?}"),
        Job::Edit(_, owed) => format!("edit {owed:?}"),
        Job::Followup(_, owed) => format!("followup {owed:?}"),
    });
    (heard, job)
}

fn job(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_kind_is_that_of_the_interaction() {
    for (number, has_message, kind) in [
        (InteractionType::ApplicationCommand, false, Kind::Command),
        (
            InteractionType::ApplicationCommandAutocomplete,
            false,
            Kind::Autocomplete,
        ),
        (InteractionType::MessageComponent, true, Kind::Component),
        (InteractionType::ModalSubmit, true, Kind::ComponentModal),
        (InteractionType::ModalSubmit, false, Kind::Modal),
        (
            InteractionType::SocialLayerSkuPurchaseEligibility,
            false,
            Kind::Purchase,
        ),
        (InteractionType::Unspecified, false, Kind::Unknown),
    ] {
        let interaction = Interaction {
            r#type: Some(number.into()),
            message: has_message.then(Box::<Message>::default),
            ..Interaction::default()
        };
        assert_eq!(Kind::of(&interaction), kind);
    }
}

#[test]
fn the_first_reply_in_time_is_the_answer_and_what_follows_are_followups() {
    let mut command = of(Kind::Command);
    assert_eq!(
        hear(&mut command, Type::ChannelMessageWithSource),
        ("first", None)
    );
    let more = hear(&mut command, Type::ChannelMessageWithSource);
    assert_eq!(more, ("later", job("followup None")));
    let more = hear(&mut command, Type::UpdateMessage);
    assert_eq!(more, ("later", job("edit None")));
    assert_eq!(
        hear(&mut command, Type::DeferredChannelMessageWithSource),
        ("nothing", None)
    );
    assert_eq!(hear(&mut command, Type::Modal), ("late", None));
    assert!(!command.is_owing());
}

#[test]
fn what_is_deferred_gets_its_message_once() {
    for (kind, deferred, first, expected) in [
        (
            Kind::Command,
            5,
            Type::ChannelMessageWithSource,
            "edit Some(Message)",
        ),
        (
            Kind::Modal,
            5,
            Type::ChannelMessageWithSource,
            "edit Some(Message)",
        ),
        (Kind::Component, 6, Type::UpdateMessage, "edit Some(Update)"),
        (
            Kind::Component,
            6,
            Type::ChannelMessageWithSource,
            "followup Some(Update)",
        ),
        (
            Kind::ComponentModal,
            6,
            Type::UpdateMessage,
            "edit Some(Update)",
        ),
    ] {
        let mut conversation = of(kind);
        assert_eq!(conversation.defer(), Some(json!({"type": deferred})));
        assert!(conversation.is_owing());
        assert_eq!(
            hear(&mut conversation, Type::DeferredUpdateMessage),
            ("nothing", None)
        );
        assert!(conversation.is_owing(), "it is owed still");
        assert_eq!(
            hear(&mut conversation, first),
            ("later", job(expected)),
            "{kind:?}"
        );
        assert!(!conversation.is_owing());
        let more = hear(&mut conversation, Type::ChannelMessageWithSource);
        assert_eq!(more, ("later", job("followup None")));
    }
}

#[test]
fn a_worker_may_defer_by_itself() {
    for (kind, first, then, expected) in [
        (
            Kind::Command,
            Type::DeferredChannelMessageWithSource,
            Type::ChannelMessageWithSource,
            "edit Some(Message)",
        ),
        (
            Kind::Component,
            Type::DeferredUpdateMessage,
            Type::UpdateMessage,
            "edit Some(Update)",
        ),
        (
            Kind::Component,
            Type::DeferredChannelMessageWithSource,
            Type::ChannelMessageWithSource,
            "edit Some(Message)",
        ),
    ] {
        let mut conversation = of(kind);
        assert_eq!(hear(&mut conversation, first), ("first", None));
        assert!(conversation.is_owing());
        assert_eq!(hear(&mut conversation, then), ("later", job(expected)));
    }
}

#[test]
fn what_cannot_follow_a_deferral_is_told_to_both() {
    for kind in [Type::Modal, Type::LaunchActivity] {
        let mut command = of(Kind::Command);
        command.defer().unwrap();
        assert_eq!(hear(&mut command, kind), ("late", job("apologise Message")));
        assert!(!command.is_owing());
    }
}

#[test]
fn what_cannot_be_deferred_is_not() {
    let mut autocomplete = of(Kind::Autocomplete);
    assert_eq!(
        autocomplete.defer(),
        Some(json!({"type": 8, "data": {"choices": []}}))
    );
    assert!(!autocomplete.is_owing());
    let late = hear(
        &mut autocomplete,
        Type::ApplicationCommandAutocompleteResult,
    );
    assert_eq!(late, ("late", None));
    for kind in [Kind::Purchase, Kind::Unknown] {
        let mut conversation = of(kind);
        assert_eq!(conversation.defer(), None);
        assert!(!conversation.is_owing() && !conversation.is_open());
    }
}

#[test]
fn a_deferred_answer_may_be_for_the_user_alone() {
    let mut command = Conversation::new(Kind::Command, true);
    assert_eq!(
        command.defer(),
        Some(json!({"type": 5, "data": {"flags": 64}}))
    );
    let mut component = Conversation::new(Kind::Component, true);
    assert_eq!(
        component.defer(),
        Some(json!({"type": 6})),
        "it changes a message that is there"
    );
}

#[test]
fn what_is_of_no_use_leads_to_one_apology() {
    let mut open = of(Kind::Command);
    assert!(open.spoil());
    assert!(!open.spoil());
    assert!(open.job().is_none());
    let mut deferred = of(Kind::Component);
    deferred.defer().unwrap();
    assert!(!deferred.spoil());
    assert!(!deferred.spoil());
    assert!(matches!(
        deferred.job(),
        Some(Job::Apologise(Deferral::Update))
    ));
    assert!(deferred.job().is_none());
    let mut answered = of(Kind::Command);
    hear(&mut answered, Type::ChannelMessageWithSource);
    assert!(!answered.spoil());
    assert!(answered.job().is_none(), "the user has an answer");
}

#[test]
fn an_apology_is_what_discord_takes() {
    let message = |kind: Kind| kind.apology("sorry");
    let said = json!({"type": 4, "data": {"content": "sorry", "flags": 64}});
    for kind in [
        Kind::Command,
        Kind::Component,
        Kind::ComponentModal,
        Kind::Modal,
    ] {
        assert_eq!(message(kind), Some(said.clone()));
    }
    let none: Value = json!({"type": 8, "data": {"choices": []}});
    assert_eq!(message(Kind::Autocomplete), Some(none));
    assert_eq!(message(Kind::Purchase), None);
}

#[test]
fn a_reply_that_comes_again_is_known() {
    let mut command = of(Kind::Command);
    assert!(command.is_new(1, true));
    assert!(!command.is_new(1, true));
    assert!(command.is_new(1, false), "it only looks the same");
    assert!(command.is_new(2, true));
    for mark in 3..1000 {
        assert!(command.is_new(mark, true));
    }
    assert!(command.seen.len() <= super::SEEN);
}

#[test]
fn there_is_an_end_to_what_may_wait() {
    let mut command = of(Kind::Command);
    hear(&mut command, Type::ChannelMessageWithSource);
    for _ in 0..JOBS {
        let heard = command.hear(reply(Type::ChannelMessageWithSource));
        assert!(matches!(heard, Heard::Later));
    }
    let heard = command.hear(reply(Type::ChannelMessageWithSource));
    assert!(matches!(heard, Heard::TooMany));
}
