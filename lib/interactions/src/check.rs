//! Whether a reply is an answer that Discord takes, for this kind of interaction.
//!
//! What is refused here is refused by Discord too, but then the user sees that the interaction failed, and nobody hears why.

#[cfg(test)]
mod tests;

use wire::{
    discord::v1::{InteractionCallbackDataParams as Data, InteractionCallbackType as Type},
    gateway::v1::InteractionResponse,
};

use crate::conversation::{EPHEMERAL, Kind};

/// What is wrong with a reply: where, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}`: {why}")]
pub(crate) struct Wrong {
    /// The path of the field.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

impl Wrong {
    pub(crate) fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            why: why.into(),
        }
    }
}

const TEXT: usize = 2000;
const EMBEDS: usize = 10;
const FILES: usize = 10;
const ROWS: usize = 5;
/// Of a message that is made of components alone, and of a modal.
const COMPONENTS: usize = 40;
const CHOICES: usize = 25;
const CUSTOM_ID: usize = 100;
const TITLE: usize = 45;
const REASON: usize = 255;
/// The flag of a message that is made of components alone.
const OF_COMPONENTS: u32 = 1 << 15;

/// The kind of answer, when it is one.
pub(crate) fn check(kind: Kind, response: &InteractionResponse) -> Result<Type, Wrong> {
    let callback = response.callback.as_ref();
    let callback = callback.ok_or_else(|| Wrong::new("callback", "it is missing"))?;
    let number = callback.r#type.unwrap_or_default();
    let answer = Type::try_from(number).unwrap_or_default();
    if !fits(kind, answer) {
        let why = format!(
            "{number} is not an answer to {}",
            match kind {
                Kind::Autocomplete => "an option that is being written: that is 8",
                Kind::Command => "a command: these are 4, 5, 9 and 12",
                Kind::Component => "a component: these are 4, 5, 6, 7, 9 and 12",
                Kind::ComponentModal =>
                    "a modal that a component opened: these are 4, 5, 6, 7 and 12",
                Kind::Modal => "a modal that a command opened: these are 4, 5 and 12",
                Kind::Purchase => "the question whether a user may buy something: that is 13",
                Kind::Unknown => "any interaction",
            }
        );
        return Err(Wrong::new("callback.type", why));
    }
    let is_message = matches!(answer, Type::ChannelMessageWithSource | Type::UpdateMessage);
    if !is_message && !response.files.is_empty() {
        return Err(Wrong::new("files", "only a message can have files"));
    }
    at_most("files", response.files.len(), FILES)?;
    let none = Data::default();
    let data = callback.data.as_ref().unwrap_or(&none);
    match answer {
        Type::ChannelMessageWithSource | Type::UpdateMessage => {
            message(data)?;
            if answer == Type::ChannelMessageWithSource && response.files.is_empty() {
                says_something(data)?;
            }
        }
        Type::DeferredChannelMessageWithSource if data.flags() & !EPHEMERAL != 0 => {
            let why = "a deferred message can have 64 only; what follows has its own";
            return Err(Wrong::new("callback.data.flags", why));
        }
        Type::ApplicationCommandAutocompleteResult => {
            at_most("callback.data.choices", data.choices.len(), CHOICES)?;
        }
        Type::Modal => modal(data)?,
        Type::SocialLayerSkuPurchaseEligibility => {
            let why = data.ineligible_reason_description();
            letters(
                "callback.data.ineligible_reason_description",
                why,
                0,
                REASON,
            )?;
        }
        _ => {}
    }
    Ok(answer)
}

/// Whether Discord takes such an answer to such an interaction.
fn fits(kind: Kind, answer: Type) -> bool {
    let may_speak = !matches!(kind, Kind::Autocomplete | Kind::Purchase);
    match answer {
        Type::Unspecified | Type::Pong => false,
        Type::ChannelMessageWithSource
        | Type::DeferredChannelMessageWithSource
        | Type::PremiumRequired
        | Type::LaunchActivity => may_speak,
        Type::DeferredUpdateMessage | Type::UpdateMessage => {
            kind.has_message() || kind == Kind::Unknown
        }
        Type::ApplicationCommandAutocompleteResult => {
            matches!(kind, Kind::Autocomplete | Kind::Unknown)
        }
        Type::Modal => matches!(kind, Kind::Command | Kind::Component | Kind::Unknown),
        Type::SocialLayerSkuPurchaseEligibility => matches!(kind, Kind::Purchase | Kind::Unknown),
    }
}

fn message(data: &Data) -> Result<(), Wrong> {
    letters("callback.data.content", data.content(), 0, TEXT)?;
    at_most("callback.data.embeds", data.embeds.len(), EMBEDS)?;
    at_most("callback.data.attachments", data.attachments.len(), FILES)?;
    let most = match data.flags() & OF_COMPONENTS {
        0 => ROWS,
        _ => COMPONENTS,
    };
    at_most("callback.data.components", data.components.len(), most)
}

/// Discord takes no message in which there is nothing.
fn says_something(data: &Data) -> Result<(), Wrong> {
    let has_text = data.content.as_ref().is_some_and(|text| !text.is_empty());
    let is_empty = data.embeds.is_empty()
        && data.components.is_empty()
        && data.attachments.is_empty()
        && data.poll.is_none()
        && data.unknown_json.is_empty();
    match has_text || !is_empty {
        true => Ok(()),
        false => Err(Wrong::new(
            "callback.data",
            "a message needs `content`, `embeds`, `components`, `poll` or a file",
        )),
    }
}

fn modal(data: &Data) -> Result<(), Wrong> {
    letters("callback.data.custom_id", data.custom_id(), 1, CUSTOM_ID)?;
    letters("callback.data.title", data.title(), 1, TITLE)?;
    if data.components.is_empty() {
        let why = "a modal needs at least one";
        return Err(Wrong::new("callback.data.components", why));
    }
    at_most(
        "callback.data.components",
        data.components.len(),
        COMPONENTS,
    )
}

fn at_most(field: &str, number: usize, most: usize) -> Result<(), Wrong> {
    match number <= most {
        true => Ok(()),
        false => Err(Wrong::new(
            field,
            format!("{number} are more than the {most} that Discord takes"),
        )),
    }
}

fn letters(field: &str, text: &str, least: usize, most: usize) -> Result<(), Wrong> {
    let length = text.chars().count();
    match (least..=most).contains(&length) {
        true => Ok(()),
        false => Err(Wrong::new(
            field,
            format!("it has {length} characters, and Discord takes {least} to {most}"),
        )),
    }
}
