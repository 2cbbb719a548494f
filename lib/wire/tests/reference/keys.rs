//! The part about routing keys: how they are made, with keys that the crate itself makes.

use wire::discord::v1::{
    ApplicationCommandOptionType as OptionType, Interaction, InteractionData,
    InteractionDataOption, InteractionType,
};
use wire::event::EventKind;
use wire::routing::{InteractionRoute, event_key};

use crate::markdown::table;

const APPLICATION: u64 = 1_119_220_000_000_000_001;
const GUILD: u64 = 1_119_220_000_000_000_002;
const CHANNEL: u64 = 1_119_220_000_000_000_003;

const HEAD: &str = "
## Routing keys

A routing key is `<application_id>.<EVENT_NAME>.<guild_id>.<channel_id>`. What an event does not have is
`-` there: a direct message has no guild. In names, dots, white space, control characters and what AMQP
gives a meaning are `_`.

A queue is bound with a pattern, in which `*` stands for one word and `#` for any number of them:

| pattern | gets |
|---|---|
| `*.MESSAGE_CREATE.#` | every new message |
| `*.GUILD_MEMBER_*` | nothing: `*` stands for a whole word |
| `*.*.1119220000000000002.#` | all events of one guild |
| `*.INTERACTION_CREATE.*.*.command.play` | uses of the command `play` |

Interactions have more words at the end:

";

/// What there is to say of all routing keys.
pub(super) fn section() -> String {
    let command = InteractionType::ApplicationCommand;
    let (sub, group) = (OptionType::SubCommand, OptionType::SubCommandGroup);
    let rows = [
        ("the command `play`", used(command, &[])),
        ("its subcommand `file`", used(command, &[("file", sub)])),
        (
            "the subcommand `start` of its group `radio`",
            used(command, &[("radio", group), ("start", sub)]),
        ),
        (
            "an option of `play` being written",
            used(InteractionType::ApplicationCommandAutocomplete, &[]),
        ),
        (
            "a component whose `custom_id` is `vote:17:yes`",
            used(InteractionType::MessageComponent, &[]),
        ),
        (
            "a modal with that `custom_id`",
            used(InteractionType::ModalSubmit, &[]),
        ),
    ];
    let rows = rows.map(|(what, interaction)| {
        let (guild, channel) = (Some(GUILD), Some(CHANNEL));
        let key = key("INTERACTION_CREATE", guild, channel, Some(&interaction));
        [what.to_owned(), format!("`{key}`")]
    });
    HEAD.to_owned() + &table(["interaction", "routing key"], &rows)
}

/// How the routing keys of an event look.
pub(super) fn pattern(kind: &EventKind) -> String {
    let word = |paths: &[Vec<String>], name| if paths.is_empty() { "-" } else { name };
    let guild = word(&kind.guild_id, "<guild_id>");
    let channel = word(&kind.channel_id, "<channel_id>");
    let more = if is_interaction(kind) {
        ".<kind>.<name>…"
    } else {
        ""
    };
    format!("<application_id>.{}.{guild}.{channel}{more}", kind.name)
}

/// A routing key of an event.
pub(super) fn example(kind: &EventKind) -> String {
    let guild = (!kind.guild_id.is_empty()).then_some(GUILD);
    let channel = (!kind.channel_id.is_empty()).then_some(CHANNEL);
    let interaction = used(InteractionType::ApplicationCommand, &[]);
    let interaction = is_interaction(kind).then_some(&interaction);
    key(&kind.name, guild, channel, interaction)
}

fn is_interaction(kind: &EventKind) -> bool {
    kind.message.full_name() == "discord.v1.Interaction"
}

fn key(
    name: &str,
    guild: Option<u64>,
    channel: Option<u64>,
    interaction: Option<&Interaction>,
) -> String {
    let route = interaction.and_then(InteractionRoute::of);
    let mut key = String::new();
    event_key(&mut key, APPLICATION, name, guild, channel, route.as_ref());
    key
}

/// An interaction with the command `play` and its nested options, or with a `custom_id`.
fn used(kind: InteractionType, path: &[(&str, OptionType)]) -> Interaction {
    let options = path.iter().rev().fold(Vec::new(), |options, (name, kind)| {
        vec![InteractionDataOption {
            name: Some((*name).to_owned()),
            r#type: Some((*kind).into()),
            options,
            ..Default::default()
        }]
    });
    let data = InteractionData {
        name: Some("play".to_owned()),
        custom_id: Some("vote:17:yes".to_owned()),
        options,
        ..Default::default()
    };
    Interaction {
        r#type: Some(kind.into()),
        data: Some(data),
        ..Default::default()
    }
}
