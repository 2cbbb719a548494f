//! Routing keys of events of all shapes.

use super::*;
use crate::discord::v1::ApplicationCommandType;

const COMMAND: InteractionType = InteractionType::ApplicationCommand;
const AUTOCOMPLETE: InteractionType = InteractionType::ApplicationCommandAutocomplete;
const COMPONENT: InteractionType = InteractionType::MessageComponent;
const MODAL: InteractionType = InteractionType::ModalSubmit;

fn key(name: &str, guild_id: Option<u64>, channel_id: Option<u64>) -> String {
    let mut out = String::from("what was here before");
    event_key(&mut out, 7, name, guild_id, channel_id, None);
    out
}

fn interaction_key(interaction: &Interaction) -> String {
    let mut out = String::new();
    let route = InteractionRoute::of(interaction);
    event_key(
        &mut out,
        7,
        "INTERACTION_CREATE",
        None,
        Some(2),
        route.as_ref(),
    );
    out
}

fn option(
    kind: OptionType,
    name: &str,
    options: Vec<InteractionDataOption>,
) -> InteractionDataOption {
    InteractionDataOption {
        name: Some(name.to_owned()),
        r#type: Some(kind.into()),
        options,
        ..Default::default()
    }
}

fn command_use(
    kind: InteractionType,
    name: &str,
    options: Vec<InteractionDataOption>,
) -> Interaction {
    Interaction {
        r#type: Some(kind.into()),
        data: Some(InteractionData {
            name: Some(name.to_owned()),
            r#type: Some(ApplicationCommandType::ChatInput.into()),
            options,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn custom_use(kind: InteractionType, custom_id: &str) -> Interaction {
    Interaction {
        r#type: Some(kind.into()),
        data: Some(InteractionData {
            custom_id: Some(custom_id.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn ordinary_events() {
    for (name, guild_id, channel_id, expected) in [
        (
            "MESSAGE_CREATE",
            Some(81),
            Some(92),
            "7.MESSAGE_CREATE.81.92",
        ),
        ("MESSAGE_CREATE", None, Some(92), "7.MESSAGE_CREATE.-.92"),
        (
            "GUILD_CREATE",
            Some(u64::MAX),
            None,
            "7.GUILD_CREATE.18446744073709551615.-",
        ),
        ("RESUMED", None, None, "7.RESUMED.-.-"),
        ("", None, None, "7.-.-.-"),
        (
            "A.B*C#D E\tF\u{3000}G\u{a0}H\nI",
            None,
            None,
            "7.A_B_C_D_E_F_G_H_I.-.-",
        ),
    ] {
        assert_eq!(key(name, guild_id, channel_id), expected);
    }
}

#[test]
fn commands() {
    let value = || vec![option(OptionType::String, "query", Vec::new())];
    let sub = |name| option(OptionType::SubCommand, name, value());
    let group = |name, inner| option(OptionType::SubCommandGroup, name, inner);
    for (interaction, expected) in [
        (command_use(COMMAND, "play", value()), "command.play"),
        (
            command_use(COMMAND, "queue", vec![sub("add")]),
            "command.queue.add",
        ),
        (
            command_use(COMMAND, "queue", vec![group("mine", vec![sub("add")])]),
            "command.queue.mine.add",
        ),
        (
            command_use(COMMAND, "queue", vec![group("mine", Vec::new())]),
            "command.queue.mine",
        ),
        (
            command_use(AUTOCOMPLETE, "play", value()),
            "autocomplete.play",
        ),
        (
            command_use(AUTOCOMPLETE, "queue", vec![sub("add")]),
            "autocomplete.queue.add",
        ),
        (
            command_use(AUTOCOMPLETE, "queue", vec![group("mine", vec![sub("add")])]),
            "autocomplete.queue.mine.add",
        ),
        (
            command_use(COMMAND, "Report this * now", Vec::new()),
            "command.Report_this___now",
        ),
        (
            command_use(COMMAND, "再生", vec![sub("naïve")]),
            "command.再生.naïve",
        ),
        (
            command_use(COMMAND, "พูด-नमस्ते_1", Vec::new()),
            "command.พูด-नमस्ते_1",
        ),
        (command_use(COMMAND, "", vec![sub("")]), "command.-.-"),
        (
            Interaction {
                r#type: Some(COMMAND.into()),
                ..Default::default()
            },
            "command.-",
        ),
    ] {
        assert_eq!(
            interaction_key(&interaction),
            format!("7.INTERACTION_CREATE.-.2.{expected}")
        );
    }
}

#[test]
fn components_and_modals() {
    for (interaction, expected) in [
        (custom_use(COMPONENT, "vote:42:yes"), "component.vote"),
        (custom_use(COMPONENT, "vote"), "component.vote"),
        (custom_use(MODAL, "form:"), "modal.form"),
        (custom_use(MODAL, ":form"), "modal.-"),
        (custom_use(COMPONENT, ""), "component.-"),
        (custom_use(COMPONENT, "#.*.#:x"), "component._____"),
        (custom_use(COMPONENT, "a b\u{2028}c"), "component.a_b_c"),
        (custom_use(COMPONENT, ":::"), "component.-"),
        (custom_use(MODAL, "..."), "modal.___"),
        (custom_use(MODAL, "a\0b\u{7f}c\u{85}d:e"), "modal.a_b_c_d"),
        (custom_use(COMPONENT, "\u{1b}[31mred"), "component._[31mred"),
        (
            Interaction {
                r#type: Some(MODAL.into()),
                ..Default::default()
            },
            "modal.-",
        ),
    ] {
        assert_eq!(
            interaction_key(&interaction),
            format!("7.INTERACTION_CREATE.-.2.{expected}")
        );
    }
}

#[test]
fn kinds_without_route() {
    let purchase = InteractionType::SocialLayerSkuPurchaseEligibility.into();
    for kind in [
        None,
        Some(0),
        Some(InteractionType::Ping.into()),
        Some(purchase),
        Some(99),
        Some(-1),
    ] {
        let interaction = Interaction {
            r#type: kind,
            ..custom_use(MODAL, "form")
        };
        assert_eq!(InteractionRoute::of(&interaction), None, "{kind:?}");
    }
}

/// What holds for every key, whoever chose the words in it.
fn assert_sound(key: &str) {
    assert!(key.len() <= MAX_KEY, "{key:?}");
    assert!(key.split('.').all(|word| !word.is_empty()), "{key:?}");
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '#');
    assert!(!key.contains(odd), "{key:?}");
}

#[test]
fn every_character_makes_a_sound_key() {
    for character in char::MIN..=char::MAX {
        let text = format!("a{character}b");
        let mut out = String::new();
        push_word(&mut out, &text);
        assert_sound(&out);
        assert_eq!(out.chars().count(), 3, "{text:?}");
    }
}

#[test]
fn long_keys_lose_their_tail() {
    for filler in ["x", "é", "再", "😀", ".", " ", "\0", "a.", "*:", "#é"] {
        for length in 50..300 {
            let long = filler.repeat(length);
            for key in [
                interaction_key(&custom_use(COMPONENT, &long)),
                interaction_key(&command_use(
                    COMMAND,
                    &long,
                    vec![option(OptionType::SubCommand, &long, Vec::new())],
                )),
                key(&long, Some(1), Some(2)),
            ] {
                assert_sound(&key);
            }
        }
    }
    let key = interaction_key(&custom_use(COMPONENT, &"再".repeat(100)));
    assert_eq!(key.len(), 254, "cut between two characters");
    assert!(key.starts_with("7.INTERACTION_CREATE.-.2.component.再再"));
}

#[test]
fn a_reused_string_does_not_grow() {
    let mut out = String::new();
    event_key(
        &mut out,
        u64::MAX,
        "MESSAGE_CREATE",
        Some(u64::MAX),
        Some(u64::MAX),
        None,
    );
    let capacity = out.capacity();
    for id in 0..1000 {
        event_key(&mut out, id, "MESSAGE_CREATE", Some(id), None, None);
    }
    assert_eq!(out.capacity(), capacity);
}

#[test]
fn exchanges_have_the_operator_s_prefix() {
    let names = EXCHANGES.map(|name| exchange("discord", name));
    assert_eq!(
        names,
        [
            "discord.events",
            "discord.requests",
            "discord.replies",
            "discord.dead-letter",
            "discord.voice-audio"
        ]
    );
    assert_eq!(voice_audio_key(1, 2, 3), "1.2.3");
}
