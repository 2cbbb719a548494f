//! Which answers Discord takes, and which it does not.

use wire::{
    discord::v1::{
        ApplicationCommandOptionChoice, Component, Embed, InteractionCallbackDataParams as Data,
        InteractionCallbackParams, InteractionCallbackType as Type,
    },
    gateway::v1::{File, InteractionResponse},
};

use super::{Wrong, check};
use crate::conversation::Kind;

fn response(number: i32, data: Option<Data>) -> InteractionResponse {
    InteractionResponse {
        callback: Some(InteractionCallbackParams {
            r#type: Some(number),
            data,
            ..InteractionCallbackParams::default()
        }),
        files: Vec::new(),
    }
}

fn text(content: &str) -> Data {
    Data {
        content: Some(content.to_owned()),
        ..Data::default()
    }
}

fn modal() -> Data {
    Data {
        custom_id: Some("report:1".to_owned()),
        title: Some("Report".to_owned()),
        components: vec![<Component as Default>::default()],
        ..Data::default()
    }
}

/// Something that each kind of answer can have.
fn usual(number: i32) -> Option<Data> {
    match number {
        4 | 7 => Some(text("hello")),
        9 => Some(modal()),
        _ => None,
    }
}

fn field(kind: Kind, response: &InteractionResponse) -> String {
    match check(kind, response) {
        Ok(_) => String::new(),
        Err(Wrong { field, .. }) => field,
    }
}

#[test]
fn each_kind_of_interaction_has_its_answers() {
    for (kind, answers) in [
        (Kind::Command, &[4, 5, 9, 10, 12][..]),
        (Kind::Component, &[4, 5, 6, 7, 9, 10, 12]),
        (Kind::ComponentModal, &[4, 5, 6, 7, 10, 12]),
        (Kind::Modal, &[4, 5, 10, 12]),
        (Kind::Autocomplete, &[8]),
        (Kind::Purchase, &[13]),
    ] {
        for number in -1..20 {
            let found = check(kind, &response(number, usual(number)));
            let is_right = answers.contains(&number);
            assert_eq!(found.is_ok(), is_right, "{kind:?} {number} {found:?}");
            if let Err(wrong) = found {
                assert_eq!(wrong.field, "callback.type");
            }
        }
    }
    let missing = InteractionResponse::default();
    assert_eq!(field(Kind::Command, &missing), "callback");
}

/// What is wrong with an answer of this type to a command, when that much is in it.
fn wrong(number: i32, change: impl FnOnce(&mut Data)) -> String {
    let mut data = usual(number).unwrap_or_default();
    change(&mut data);
    field(Kind::Command, &response(number, Some(data)))
}

#[test]
fn a_message_has_its_limits() {
    let embeds = |count| wrong(4, |data| data.embeds = vec![Embed::default(); count]);
    assert_eq!(embeds(10), "");
    assert_eq!(embeds(11), "callback.data.embeds");
    let content = |count| wrong(4, |data| data.content = Some("ä".repeat(count)));
    assert_eq!(content(2000), "");
    assert_eq!(content(2001), "callback.data.content");
    let components = |count, flags| {
        wrong(4, |data| {
            data.components = vec![<Component as Default>::default(); count];
            data.flags = Some(flags);
        })
    };
    assert_eq!(components(5, 0), "");
    assert_eq!(components(6, 0), "callback.data.components");
    assert_eq!(components(40, 1 << 15), "");
    assert_eq!(components(41, 1 << 15), "callback.data.components");
    assert_eq!(wrong(4, |data| data.content = None), "callback.data");
    let nothing_changes = response(7, Some(Data::default()));
    assert_eq!(field(Kind::Component, &nothing_changes), "");
}

#[test]
fn what_is_no_message_has_its_limits_too() {
    let choice = ApplicationCommandOptionChoice::default();
    let choices = |count| Data {
        choices: vec![choice.clone(); count],
        ..Data::default()
    };
    let choices = |count| field(Kind::Autocomplete, &response(8, Some(choices(count))));
    assert_eq!(choices(25), "");
    assert_eq!(choices(26), "callback.data.choices");
    assert_eq!(wrong(5, |data| data.flags = Some(64)), "");
    assert_eq!(
        wrong(5, |data| data.flags = Some(1 << 15)),
        "callback.data.flags"
    );
    assert_eq!(wrong(9, |_| ()), "");
    assert_eq!(wrong(9, |data| data.title = None), "callback.data.title");
    let long = |data: &mut Data| data.custom_id = Some("x".repeat(101));
    assert_eq!(wrong(9, long), "callback.data.custom_id");
    assert_eq!(
        wrong(9, |data| data.components.clear()),
        "callback.data.components"
    );
}

#[test]
fn only_messages_have_files() {
    let with = |number, count, data| InteractionResponse {
        files: vec![File::default(); count],
        ..response(number, data)
    };
    assert_eq!(
        check(Kind::Command, &with(4, 1, None)),
        Ok(Type::ChannelMessageWithSource)
    );
    assert_eq!(field(Kind::Command, &with(4, 11, None)), "files");
    assert_eq!(field(Kind::Command, &with(5, 1, None)), "files");
    assert_eq!(field(Kind::Command, &with(9, 1, Some(modal()))), "files");
}
